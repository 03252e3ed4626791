"""Runs of agents' published versions, each a turn of a session of its tenant."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sympozium_api.client import Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.trace_context import TraceContext
from sympozium_domain.agents.run_keys import RunKey
from sympozium_domain.agents.versions import AgentVersion, Versions
from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_domain.instance_runs import InstanceRuns, NewRun
from sympozium_domain.sessions.session import Session
from sympozium_domain.stored_runs.run_finder import RunFinder
from sympozium_runs.key_attempts import KeyReused
from sympozium_runs.run_version import RunVersion
from sympozium_runs.runs import RunHandle

FindAgent = Callable[[str, str], Awaitable[Object | None]]
"""Returns the instance of a namespace's agent with an id, as it is now."""

_SCOPE = "platform"
"""Tells the sessions of tenants from those of the other dialects' callers."""


class NoSuchAgent(Exception):
    """The tenant has no agent with the id."""


class NotPublished(Exception):
    """The agent has no version that runs could get; the message says what to do."""


@dataclass(frozen=True)
class Question:
    """A caller's message to an agent."""

    caller: TenantCaller
    agent_id: str
    message: str
    session_id: str | None = None
    """The caller's key for the session that the run continues; None: the run begins one."""
    idempotency_key: str | None = None
    request_id: str | None = None
    trace: TraceContext | None = None


@dataclass(frozen=True)
class AgentRuns:
    """Starts runs of published versions."""

    client: Client
    find_agent: FindAgent
    versions: Versions
    runs: InstanceRuns
    finder: RunFinder
    key_seconds: int
    """Seconds for which an Idempotency-Key stands, and the next turn finds the one before."""

    async def start(self, question: Question, *given_up: asyncio.Event) -> RunHandle:
        """Start a run, or find the run of the same caller's Idempotency-Key and body.

        Raises NoSuchAgent, NotPublished, and as ``InstanceRuns.start``: KeyReused also if the key was used with another agent or
        session, in the same moment, too.
        """
        caller = question.caller
        instance = await self._instance(caller.namespace, question.agent_id)
        session_id = question.session_id or _new_session(caller, question.idempotency_key)
        key = _key(self.client, question, Session.of(instance, _SCOPE, session_id))
        if key is not None:
            await key.check()
        new = NewRun(
            caller.namespace,
            instance.metadata.name,
            {"messages": [{"role": "user", "content": question.message}]},
            key_id=caller.key_id,
            user=caller.user,
            scopes=tuple(sorted(caller.scopes)),
            source="api",
            session_key=session_id,
            session_scope=_SCOPE,
            is_new_session=question.session_id is None,
            idempotency_key=question.idempotency_key,
            idempotency_label=key.label if key else None,
            key_seconds=self.key_seconds,
            request_id=question.request_id,
            trace=question.trace,
            version=await self._version(instance),
            read=instance,
        )
        handle = await self.runs.start(new, *given_up)
        if key is not None and handle.is_new:
            await self._discard_unless_first(handle, key)
        self.finder.remember(handle.run)
        return handle

    async def _discard_unless_first(self, handle: RunHandle, key: RunKey) -> None:
        """Raise KeyReused for a run that is not its key's first, which is cancelled and deleted. Its agent may have begun.

        Where the API server fails, or the caller leaves, that is done later: else the key would keep a run of each session.
        """

        async def is_first() -> bool:
            found = await key.is_first(handle.run)
            if not found:
                await self.runs.discard(handle.run)
            return found

        try:
            if await is_first():
                return
        except BaseException:
            self.runs.write_later(handle.run, "discard", is_first)
            handle.close()
            raise
        handle.close()
        raise KeyReused

    async def _instance(self, namespace: str, agent_id: str) -> SympoziumInstance:
        body = await self.find_agent(namespace, agent_id)
        if body is None:
            raise NoSuchAgent
        return SympoziumInstance.model_validate(body)

    async def _version(self, instance: SympoziumInstance) -> RunVersion:
        version = await self.versions.published(instance)
        if version is None:
            raise NotPublished("The agent was never published. POST /agents/{id}/publish does that.")
        if version.provider_ref is None and _has_moved(version, instance):
            message = f"Version {version.number} has its model at an address that the agent has no more. Publish the agent again."
            raise NotPublished(message)
        return RunVersion(
            version.number, version.title, version.prompt, version.provider_ref, version.model, version.params
        )


def _key(client: Client, question: Question, session: Session) -> RunKey | None:
    caller, text = question.caller, question.idempotency_key
    if text is None:
        return None
    return RunKey.of(client, caller.namespace, session, scope=_SCOPE, key_id=caller.key_id, key=text)


def _new_session(caller: TenantCaller, idempotency_key: str | None) -> str:
    """Return the id of a new session: of a repeated request the same one."""
    if idempotency_key is None:
        return str(uuid.uuid4())
    return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([caller.namespace, caller.key_id, idempotency_key])))


def _has_moved(version: AgentVersion, instance: SympoziumInstance) -> bool:
    """Return whether a version without a Provider was published when the instance had another address."""
    agent = instance.spec.agents.default
    return agent.provider_ref is not None or agent.base_url != version.base_url
