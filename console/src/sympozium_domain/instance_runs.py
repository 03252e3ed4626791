"""Runs of any instance, started and followed by one process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_api.trace_context import TraceContext
from sympozium_domain.sessions.past_turns import PastTurns
from sympozium_domain.sessions.patience import Patience
from sympozium_domain.sessions.session import Session
from sympozium_domain.sessions.turns import TURN_SECONDS, Turns
from sympozium_http.byte_budget import ByteBudget
from sympozium_runs.agent_api import create_agent_api
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.background_writes import Write
from sympozium_runs.broker import RunBroker
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.model_choice import chosen_model, refuse_unready
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.run_queue import RunQueues
from sympozium_runs.run_request import RunRequest
from sympozium_runs.run_store import RunStore
from sympozium_runs.run_version import RunVersion
from sympozium_runs.run_watch import RunWatch
from sympozium_runs.runs import RunHandle, Runs

SESSION_TOKENS = 32_000
"""Bound of a session's history where the installation sets none."""


class StillReading(Exception):
    """The open runs have not been listed yet, so every queue seems empty."""


class UnreadableInstance(Exception):
    """An instance that this version cannot read; the message names the field."""


class InstanceDeleting(Exception):
    """An instance that is being deleted, and takes no new runs."""


class TooLong(Exception):
    """A request that does not fit into one AgentRun."""


class Overloaded(Exception):
    """The process holds as many bytes of runs as it may."""


@dataclass(frozen=True)
class NewRun:
    """A caller's request for a run of an instance."""

    namespace: str
    instance: str
    body: dict[str, Any]
    """An OpenAI chat completion body."""
    key_id: str
    """Id of the caller's key: it shares the instance's slots fairly with others, and an Idempotency-Key is its own."""
    user: str
    """Name of the caller, which ``spec.caller.user`` keeps."""
    scopes: tuple[str, ...]
    """Rights of the caller in the run, such as ``tools:write``."""
    source: str
    """Interface that the request came through: ``api``."""
    body_text: str | None = None
    """The body as the model is sent it; None: as compact JSON."""
    timeout: str | None = None
    """Duration after which the run ends; None: the instance's own."""
    session_key: str | None = None
    """The caller's key for the session that the run continues; None: the run is of no session."""
    session_scope: str = ""
    """Text that tells the sessions of this dialect and caller from those of others."""
    idempotency_key: str | None = None
    key_seconds: int = 0
    """Seconds for which the Idempotency-Key stands, if there is one."""
    request_id: str | None = None
    trace: TraceContext | None = None
    """Span that the run belongs below; None: the run begins a trace of its own."""
    version: RunVersion | None = None
    """Published version that the run is of; None: the run is of none."""
    read: SympoziumInstance | None = None
    """The instance, if it was just read; None: it is read."""
    is_new_session: bool = False
    """True if nobody else can have a run with this ``session_key``, so that none is looked for."""
    idempotency_label: str | None = None
    """Value of ``names.LABEL_IDEMPOTENCY``; None: the Idempotency-Key is the session's own."""


class InstanceRuns:
    """Starts and follows runs of the instances in ``namespaces``; None among them stands for all.

    A run goes on when its caller leaves. Its pod sends its records to this replica first; if the replica is gone, to the
    instance's web-proxies or the runs server, so that a replica that dies loses no run.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        metrics: AgentApiMetrics,
        *,
        pod_ip: str = "",
        namespaces: Sequence[str | None] = (None,),
        session_tokens: int = SESSION_TOKENS,
        budget: ByteBudget | None = None,
        past: PastTurns | None = None,
    ) -> None:
        """``pod_ip``: IP address at which agent pods reach this process; empty: they do not, and send their records elsewhere.

        ``session_tokens``: bound of the history of a session's turn, as it is estimated. ``past``: turns of sessions that Kubernetes
        has no more; None: they are forgotten.
        """
        self._client, self._clock, self._metrics = client, clock, metrics
        self.budget = budget or ByteBudget()
        """Bytes of records that are held."""
        self._store, self._broker = RunStore(client, clock), RunBroker(self.budget)
        self._idle = IdlePods(names.agent_api_url(pod_ip) if pod_ip else "", metrics, of_instance=False)
        queues = RunQueues(shared=lambda _: True)
        self._runs = Runs(self._store, self._broker, queues, clock, idle=self._idle, metrics=metrics)
        self._turns = Turns(client, self._runs, self.budget, most_tokens=session_tokens, past=past)
        self.watches = {
            namespace: RunWatch(
                client,
                namespace,
                None,
                store=self._store,
                broker=self._broker,
                runs=self._runs,
                queues=queues,
                unreadable=metrics.unreadable,
            )
            for namespace in namespaces
        }
        """Watches of the open runs by namespace, which have to run as long as runs are started."""

    def agent_api(self) -> Starlette | None:
        """Return the application of port 8081; None: agent pods do not reach this process."""
        if not self._idle.address:
            return None
        return create_agent_api(self._store, self._broker, PodTokens(self._client), self._clock, metrics=self._metrics)

    async def start(self, new: NewRun, *given_up: asyncio.Event) -> RunHandle:
        """Create a run, or find the run that the same caller's Idempotency-Key and body created before.

        A run with a session key is the session's next turn, and waits for the one before, until an event ``given_up`` is set.
        Raises StillReading, Overloaded, UnreadableInstance, InstanceDeleting, TooLong, Refusal 404 (no such model) and 503
        (model not ready), and as ``Runs.start`` does KeyReused, CancelPending, QueueFull, ApiError
        (404: no such instance), ApiUnavailable; with a session key also as ``Turns.start`` does SessionBusy, GivenUp and NameTaken.
        """
        watch = self.watches.get(None) or self.watches.get(new.namespace)
        if watch is not None and not watch.synced:
            raise StillReading
        if self.budget.is_spent:
            raise Overloaded
        instance = new.read or await self._instance(new.namespace, new.instance)
        version = new.version
        _refuse_unready(instance, version)
        request = RunRequest(
            new.body,
            new.source,
            new.key_id,
            new.idempotency_key,
            body_text=new.body_text,
            key_seconds=new.key_seconds,
            request_id=new.request_id,
            user=new.user,
            scopes=new.scopes,
            trace=new.trace or TraceContext.minted(),
            model=version.model if version else chosen_model(instance, new.body.get("model")),
            timeout=new.timeout,
            background=True,
            can_be_joined=True,
            version=version,
            agent_id=instance.metadata.labels.get(names.LABEL_ID),
        )
        if (await request.prepared()).has_parts:
            raise TooLong
        if new.session_key is None:
            return await self._runs.start(instance, request)
        session = Session.of(instance, new.session_scope, new.session_key)

        async def read_again() -> SympoziumInstance:
            latest = await self._instance(new.namespace, new.instance)
            _refuse_unready(latest, version)
            return latest

        patience = Patience(TURN_SECONDS, *given_up)
        return await self._turns.start(
            instance,
            session,
            request,
            patience,
            read_again=read_again,
            is_new=new.is_new_session,
            idempotency=new.idempotency_label,
        )

    async def read(self, namespace: str, name: str) -> AgentRun:
        """Return a run with its texts, as far as their parts are there. Raises ApiError, ApiUnavailable and ValidationError."""
        return await self._store.get(namespace, name)

    async def follow(self, namespace: str, name: str) -> RunHandle:
        """Subscribe to a run's records, as far as they come to this replica, and to its end. Raises as ``Runs.follow`` does.

        Raises ValidationError for a run that this version cannot read.
        """
        return await self._runs.follow(namespace, name)

    async def discard(self, run: AgentRun) -> None:
        """Ask the operator to end a run, unless it has ended, and to delete it. Raises ApiError, ApiUnavailable."""
        await self._runs.discard(run)

    def write_later(self, run: AgentRun, write_name: str, write: Write) -> None:
        """Repeat a write of a run after its caller is answered, until the API server has taken the write or refuses it for good."""
        writes = self._runs.background_writes
        writes.spawn(writes.retry(run.key, write_name, write))

    async def on_ended(self, run: Object) -> None:
        """Publish the end of a run that was read as an object. A run that cannot be read has no records."""
        try:
            ended = await self._store.with_answer(AgentRun.model_validate(run))
        except ValidationError:
            self._runs.on_unreadable((run["metadata"]["namespace"], run["metadata"]["name"]))
        else:
            await self._runs.on_read(ended)

    def is_streaming(self, namespace: str, name: str) -> bool:
        """Return whether records of an open run come to this replica."""
        key = (namespace, name)
        return self._broker.has_records(key) and not self._broker.is_ending(key)

    def drain(self) -> None:
        """Let agent pods move on to other processes, because this one is about to end. What streams continues."""
        self._idle.drain()
        self._runs.drain()

    async def finish_writes(self) -> None:
        """Wait a few seconds for the writes under way, before the process ends."""
        await self._runs.finish_writes()

    async def _instance(self, namespace: str, name: str) -> SympoziumInstance:
        try:
            instance = await self._store.instance(namespace, name)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise UnreadableInstance(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        if names.LABEL_DELETING in instance.metadata.labels:
            raise InstanceDeleting
        return instance


def _refuse_unready(instance: SympoziumInstance, version: RunVersion | None) -> None:
    """Raise Refusal 503 if the model is not ready. That of a version with another Provider than the instance's counts at its start."""
    if version is None or not version.is_elsewhere(instance):
        refuse_unready(instance)
