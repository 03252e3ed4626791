"""Runs of agents' published versions, each a turn of a session of its tenant."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import RUNS, Object
from sympozium_api.trace_context import TraceContext
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
_LABEL_DIGITS = 32
_FROM_CACHE = {"resourceVersion": "0"}


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
        session.
        """
        caller = question.caller
        instance = await self._instance(caller.namespace, question.agent_id)
        session_id = question.session_id or _new_session(caller, question.idempotency_key)
        label = await self._idempotency(question, Session.of(instance, _SCOPE, session_id))
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
            idempotency_label=label,
            key_seconds=self.key_seconds,
            request_id=question.request_id,
            trace=question.trace,
            version=await self._version(instance),
            read=instance,
        )
        handle = await self.runs.start(new, *given_up)
        self.finder.remember(handle.run)
        return handle

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

    async def _idempotency(self, question: Question, session: Session) -> str | None:
        """Return the label of the question's Idempotency-Key. Raises KeyReused if a run of another session has it.

        Two requests in the same moment with one key and different agents or sessions may both start a run.
        """
        if question.idempotency_key is None:
            return None
        caller = question.caller
        text = json.dumps([_SCOPE, caller.namespace, caller.key_id, question.idempotency_key])
        label = hashlib.sha256(text.encode()).hexdigest()[:_LABEL_DIGITS]
        selector = f"{names.LABEL_IDEMPOTENCY}={label}"
        found = await self.client.metadata(RUNS, caller.namespace, labelSelector=selector, **_FROM_CACHE)
        if any(run["metadata"]["labels"].get(names.LABEL_SESSION) != session.label for run in found):
            raise KeyReused
        return label


def _new_session(caller: TenantCaller, idempotency_key: str | None) -> str:
    """Return the id of a new session: of a repeated request the same one."""
    if idempotency_key is None:
        return str(uuid.uuid4())
    return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([caller.namespace, caller.key_id, idempotency_key])))


def _has_moved(version: AgentVersion, instance: SympoziumInstance) -> bool:
    """Return whether a version without a Provider was published when the instance had another address."""
    agent = instance.spec.agents.default
    return agent.provider_ref is not None or agent.base_url != version.base_url
