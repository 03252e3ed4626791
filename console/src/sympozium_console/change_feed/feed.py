"""The feed of changes of one process: its ring, its watches, and its open streams."""

import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Gauge

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.resources import CONFIGS, INSTANCES, SKILL_PACKS, Object
from sympozium_console import refusals
from sympozium_console.change_feed.change_ring import ChangeRing
from sympozium_console.change_feed.kind_watch import KindWatch, RunsWatch, Scope
from sympozium_console.change_feed.known_objects import Key, KnownInstances, key_of
from sympozium_console.skill_catalog import SkillCatalog
from sympozium_domain.agents.agent_catalog import AgentCatalog
from sympozium_http.refusal import Refusal

_MOST_STREAMS = 500
_MOST_OF_CALLER = 100
"""Streams of one caller, so that no caller takes all."""
_RETRY_SECONDS = (1, 10)

RUNS_WORD, INSTANCES_WORD, SKILLS_WORD, CONFIG_WORD = "runs", "instances", "skills", "config"


@dataclass
class ChangeFeed:
    """Changes of instances, runs, SkillPacks and the SympoziumConfig."""

    ring: ChangeRing
    instances: KnownInstances
    watch_of_instances: KindWatch
    loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]
    """Watches by name, to be run beside the server."""
    open_streams: Gauge
    _streams: Counter[str] = field(default_factory=Counter)
    """Number of open streams by caller."""

    @contextmanager
    def open_stream(self, caller: str) -> Iterator[None]:
        """Count a stream of a caller as long as it is open. Raises Refusal as ``refuse_more_streams`` does."""
        self.refuse_more_streams(caller)
        self._streams[caller] += 1
        self.open_streams.set(self._streams.total())
        try:
            yield
        finally:
            self._streams[caller] -= 1
            self._streams += Counter()  # forgets callers without a stream
            self.open_streams.set(self._streams.total())

    def refuse_more_streams(self, caller: str) -> None:
        """Raise Refusal 429 if a caller has as many streams open as it may, 503 if as many are open as this process serves."""
        pause = random.randint(*_RETRY_SECONDS)
        if self._streams[caller] >= _MOST_OF_CALLER:
            raise refusals.too_many(f"The caller has {_MOST_OF_CALLER} streams open at this replica.", pause, {})
        if self._streams.total() >= _MOST_STREAMS:
            message = f"This replica serves {_MOST_STREAMS} streams already."
            raise Refusal(503, "TooManyStreams", message, retry_after=pause)

    def require_instances(self) -> None:
        """Raise Refusal 503 until all instances were listed."""
        if not self.watch_of_instances.is_whole:
            raise Refusal(503, "Reading", "The instances are being read.", retry_after=1)


def assemble_feed(
    client: Client,
    clock: Clock,
    scopes: Sequence[Scope],
    skills: SkillCatalog,
    *,
    namespace: str,
    open_streams: Gauge,
    agents: AgentCatalog | None = None,
) -> ChangeFeed:
    """Return the feed of what changes in ``scopes``; ``namespace`` is the installation's own, which has the SympoziumConfig.

    ``agents`` is kept by the same watch of instances.
    """
    ring, known = ChangeRing(), KnownInstances(clock)

    def put(body: Object) -> None:
        if agents is not None:
            agents.put(body)
        known.put(body)

    def remove(key: Key) -> None:
        if agents is not None:
            agents.remove(key)
        known.remove(key)

    instances = KindWatch(
        client,
        ring,
        INSTANCES,
        INSTANCES_WORD,
        scopes,
        instance_of=lambda body: key_of(body)[1],
        on_put=put,
        on_removed=remove,
    )
    watches: dict[str, KindWatch | RunsWatch] = {
        INSTANCES_WORD: instances,
        RUNS_WORD: RunsWatch(client, ring, RUNS_WORD, scopes),
        SKILLS_WORD: KindWatch(client, ring, SKILL_PACKS, SKILLS_WORD, scopes, shown=skills.summary),
        CONFIG_WORD: KindWatch(client, ring, CONFIGS, CONFIG_WORD, (namespace,)),
    }
    loops = {f"watch of {word}": watch.run for word, watch in watches.items()}
    return ChangeFeed(ring, known, instances, loops, open_streams)
