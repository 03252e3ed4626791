"""The agents of the served namespaces in memory, as the console's watch of instances shows them: lists cost no call."""

import asyncio
from bisect import bisect_left, insort
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from pydantic import ValidationError

from sympozium_api.resources import Object
from sympozium_domain.agents.agent import Agent

MOST_PROMPT_BYTES = 32 * 1024 * 1024
"""Most bytes of prompts, which tenants make as many as they like. The prompts of further agents are left out."""
_REMEMBERED = 1000
"""UIDs of deleted agents that are known, so that an answer about one that comes late does not bring it back."""

log = structlog.get_logger()

Key = tuple[str, str]
"""Namespace and name."""
_Place = tuple[datetime, str]
"""Time of creation and name, by which a namespace's agents are ordered."""


@dataclass
class AgentCatalog:
    """Agents by namespace, the newest last, and by id."""

    most_prompt_bytes: int = MOST_PROMPT_BYTES
    _prompt_bytes: int = 0
    _agents: dict[Key, Agent] = field(default_factory=dict)
    _places: defaultdict[str, list[_Place]] = field(default_factory=lambda: defaultdict(list))
    """Places of the agents that are shown, by namespace, in order."""
    _names: defaultdict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Names by namespace and id. A copied label gives two objects one id."""
    _gone: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _waiting: defaultdict[Key, list[asyncio.Event]] = field(default_factory=lambda: defaultdict(list))

    def put(self, body: Object) -> None:
        """Add an agent, or its new state. An older state than the known one changes nothing."""
        key = namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        known = self._agents.get(key)
        try:
            agent = Agent.of(body)
        except (ValidationError, KeyError, TypeError, AttributeError):
            log.warning("an instance cannot be read as an agent", namespace=namespace, name=name)
            self._drop(key)
            return
        if agent.uid in self._gone or (known is not None and known.uid == agent.uid and _is_older(agent, known)):
            return
        if known is not None:
            self._forget(key, known)
        if self._prompt_bytes + agent.prompt_bytes > self.most_prompt_bytes:
            agent = agent.without_prompt()
        self._prompt_bytes += agent.prompt_bytes
        self._agents[key] = agent
        if not agent.is_deleting:
            insort(self._places[namespace], _place(agent))
            self._names[namespace, agent.id].add(name)
        self._wake(key)

    def remove(self, key: Key) -> None:
        """Forget an agent that is gone."""
        if (known := self._drop(key)) is not None:
            self._gone[known.uid] = None
            if len(self._gone) > _REMEMBERED:
                self._gone.popitem(last=False)
        self._wake(key)

    def page(self, namespace: str, *, limit: int, offset: int) -> tuple[list[Agent], int]:
        """Return at most ``limit`` agents of a namespace after the ``offset`` newest ones, the newest first, and the number of all."""
        places = self._places.get(namespace, [])
        first = len(places) - offset
        shown = places[max(0, first - limit) : max(0, first)]
        return [self._agents[namespace, name] for _, name in reversed(shown)], len(places)

    def find(self, namespace: str, agent_id: str) -> Agent | None:
        """Return the agent of a namespace with an id; None if it is not known. Of several the oldest object counts."""
        names = self._names.get((namespace, agent_id), ())
        return min((self._agents[namespace, name] for name in names), key=_age, default=None)

    async def settled(self, agent: Agent, seconds: float) -> None:
        """Wait until the operator has carried out an agent's state, or a newer one, or the agent is gone; at most some seconds."""
        key, changed = (agent.namespace, agent.name), asyncio.Event()
        self._waiting[key].append(changed)
        try:
            async with asyncio.timeout(seconds):
                while not self._is_settled(key, agent):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return
        finally:
            self._waiting[key].remove(changed)
            if not self._waiting[key]:
                del self._waiting[key]

    def _is_settled(self, key: Key, wanted: Agent) -> bool:
        known = self._agents.get(key)
        if known is None or known.uid != wanted.uid:
            return wanted.uid in self._gone
        return known.observed_generation >= wanted.generation or known.is_deleting

    def _drop(self, key: Key) -> Agent | None:
        known = self._agents.pop(key, None)
        if known is not None:
            self._forget(key, known)
        return known

    def _forget(self, key: Key, known: Agent) -> None:
        namespace, name = key
        self._prompt_bytes -= known.prompt_bytes
        places, place = self._places[namespace], _place(known)
        index = bisect_left(places, place)
        if index < len(places) and places[index] == place:
            del places[index]
        found = self._names.get((namespace, known.id))
        if found is not None:
            found.discard(name)
            if not found:
                del self._names[namespace, known.id]

    def _wake(self, key: Key) -> None:
        for changed in self._waiting.get(key, ()):
            changed.set()


def _place(agent: Agent) -> _Place:
    return agent.created_at, agent.name


def _age(agent: Agent) -> tuple[_Place, str]:
    return _place(agent), agent.uid


def _is_older(agent: Agent, known: Agent) -> bool:
    """Return True if a state of an agent was stored before the known one: the API server counts its versions up."""
    new, old = agent.resource_version, known.resource_version
    return (len(new), new) < (len(old), old)
