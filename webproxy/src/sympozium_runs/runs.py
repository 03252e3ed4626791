"""Start runs and follow them to their end: what the routes of the web-proxy call."""

import asyncio
import hashlib
import json
import math
import secrets
from dataclasses import dataclass, field
from typing import Any, Protocol

from sympozium_api import endings, names, records
from sympozium_api.base import owner_reference, seconds
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock, micro_timestamp
from sympozium_api.instance import SympoziumInstance
from sympozium_api.records import End, Record
from sympozium_api.run import AgentRun
from sympozium_api.trace import TraceContext
from sympozium_runs.board import Board, Follower
from sympozium_runs.claims import Claims
from sympozium_runs.idle import IdlePods
from sympozium_runs.later import Later
from sympozium_runs.queue import Queue, QueueFull
from sympozium_runs.store import Store

_IN_DOUBT_SECONDS = 2.0


class KeyReused(Exception):
    """The Idempotency-Key was used before, with another request."""


@dataclass(frozen=True)
class RunRequest:
    """What a caller asks an instance's agent."""

    body: dict[str, Any]
    """An OpenAI chat completion body."""
    source: str
    """Which door it came through: ``web-proxy``, ``mcp``, ``api``."""
    key_id: str
    """Name of the caller's API key, never the key."""
    idempotency_key: str | None = None
    request_id: str | None = None
    trace: TraceContext | None = None
    """Below which span the run's call of the model belongs."""
    model: str | None = None
    """The model that answers; None: the instance's own."""
    wait_seconds: float | None = None
    """How long the caller waits; then it gets an error, and a run for which nobody else waits is cancelled."""
    asked: dict[str, Any] | None = None
    """What the caller itself sent, where ``body`` was made from it: an Idempotency-Key stands for this."""
    response: dict[str, Any] | None = None
    """What the run keeps for its caller beside the conversation."""
    background: bool = False
    """Whether the run goes on without its caller."""
    forwarded: dict[str, str] = field(default_factory=dict, repr=False)
    """The caller's headers that go to the model, with this run only; they are not written anywhere."""


class Observer(Protocol):
    """One who sees what a caller sees of its run, and measures it."""

    def see(self, record: Record) -> None:
        """A record has come."""

    def close(self) -> None:
        """Nothing more will come."""


class Handle:
    """A run that a caller waits for."""

    def __init__(self, run: AgentRun, follower: Follower, runs: "Runs", queue: Queue) -> None:
        self.run = run
        """As it was when following it began."""
        self._follower = follower
        self._runs = runs
        self._queue = queue
        self._observer: Observer | None = None
        self._timer: asyncio.TimerHandle | None = None

    def observe(self, observer: Observer) -> None:
        """Show all that its caller sees to one more."""
        self._observer = observer
        self._follower.observe = observer.see

    def expire_after(self, patience: float, *, since: float) -> None:
        """Let the waiting, ``since`` a time of the event loop, end with an error of status 504 unless the run has ended by then."""
        end = records.error(
            "deadline_exceeded", f"there was no answer within the {patience:g} s that the caller waits", 504
        )
        self._timer = asyncio.get_running_loop().call_at(since + patience, self._follower.expire, end)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.metadata.name

    async def next(self, patience: float | None = None) -> Record | None:
        """The next record, or None when none came within ``patience`` seconds. Raises board.Left after ``leave``."""
        return await self._follower.next(patience)

    async def end(self) -> End:
        """The end record, when it comes. Raises board.Left after ``leave``."""
        return await self._follower.end()

    def leave(self) -> None:
        """The caller has gone: whoever waits in ``next`` gets Left."""
        self._follower.leave()

    def close(self) -> None:
        """Stop following; a run whose caller leaves before its end is cancelled (rule 7), unless it goes on without."""
        if self._timer:
            self._timer.cancel()
        self._follower.close()
        self._queue.leave(self.name)
        if self._observer:
            self._observer.close()
        if self._follower.wants and not self._follower.ended:
            self._runs.cancel_unless_wanted(self._follower.key)


class Runs:
    """Creates, follows and cancels runs of instances."""

    def __init__(self, store: Store, board: Board, queue: Queue, clock: Clock, *, idle: IdlePods) -> None:
        self._store = store
        self._board = board
        self._queue = queue
        self._clock = clock
        self._reply_to = idle.address
        self._later = Later()
        self._claims = Claims(store, idle, queue, self._later)

    async def start(self, instance: SympoziumInstance, request: RunRequest) -> Handle:
        """Make the run of a request and follow it; the same Idempotency-Key and body find the run made before.

        Raises KeyReused (same key, other body), QueueFull, ApiError (the API server refused the run), ApiUnavailable.
        """
        began = asyncio.get_running_loop().time()
        name = _run_name(instance, request.key_id, request.idempotency_key)
        key = (instance.metadata.namespace, name)
        follower = self._board.follow(key, wants=not request.background)  # before the run exists: its pod may be quick
        try:
            run = await self._create_or_find(instance, request, name)
        except BaseException as failure:
            follower.close()
            self._queue.leave(name)
            if isinstance(failure, ApiUnavailable) and request.idempotency_key is None:
                self._later.do(self._cancel_in_doubt(follower.key))
            raise
        handle = Handle(run, follower, self, self._queue)
        if request.wait_seconds is not None:
            handle.expire_after(request.wait_seconds, since=began)
        return handle

    async def get(self, namespace: str, name: str) -> AgentRun:
        """A run as it is now. Raises ApiError, ApiUnavailable."""
        return await self._store.get(namespace, name)

    async def follow(self, namespace: str, name: str) -> Handle:
        """Follow a run that somebody made earlier, without a say in whether it goes on. Raises ApiError, ApiUnavailable.

        Where its pod's records come to another replica, only its end is seen here, when it is stored.
        """
        follower = self._board.follow((namespace, name), wants=False)  # before it is read: it may end meanwhile
        try:
            run = await self._store.get(namespace, name)
        except BaseException:
            follower.close()
            raise
        self.observe(run)
        return Handle(run, follower, self, self._queue)

    async def ended_of(
        self, namespace: str, instance: str, key_id: str, *, limit: int, after: str
    ) -> tuple[list[AgentRun], str]:
        """A page of an instance's runs that were made with a key and have ended, and where the next page begins; "" after the last.

        Raises ApiError (410 and 400: ``after`` is too old, or none), ApiUnavailable.
        """
        labels = f"{names.LABEL_INSTANCE}={instance},{names.LABEL_KEY}={names.key_hash(key_id)}"
        return await self._store.ended(namespace, labels, limit=limit, after=after)

    def name_of(self, instance: SympoziumInstance, key_id: str, idempotency_key: str) -> str:
        """The name of the run that a key's request with this Idempotency-Key makes, or has made."""
        return _run_name(instance, key_id, idempotency_key)

    def works(self, run: AgentRun) -> bool:
        """Whether the run's pod has spoken, as far as is known here."""
        return run.status.phase == "Running" or self._board.speaks(run.key)

    async def cancel(self, run: AgentRun) -> None:
        """Ask for a run's end. Raises ApiError, ApiUnavailable."""
        await self._store.cancel(*run.key)
        self._board.stop(run.key)

    async def discard(self, run: AgentRun) -> None:
        """Ask for a run's end, unless it has ended, and for nothing to be kept of it. Raises ApiError, ApiUnavailable."""
        await self._store.discard(*run.key)
        self._board.stop(run.key)

    async def _create_or_find(self, instance: SympoziumInstance, request: RunRequest, name: str) -> AgentRun:
        namespace, digest = instance.metadata.namespace, _digest(request.asked or request.body)
        places = instance.spec.max_concurrent_runs + instance.spec.max_queued_runs
        try:
            self._queue.enter(name, request.key_id, places)
            with self._board.keeping((namespace, name), request.forwarded):
                made = await self._claims.create(instance, self._manifest(instance, request, name, digest))
        except QueueFull as full:
            if request.idempotency_key is None:
                raise
            found = await self._find(namespace, name, instead=full)
        except ApiError as error:
            if not error.already_exists:
                raise
            found = await self._store.get(namespace, name)
        else:
            if self._board.noted(made.key) is None:  # else the watch was quicker, and has seen more
                self._board.note(made)
            return made
        if found.metadata.annotations.get(names.ANNOTATION_REQUEST_HASH) != digest:
            raise KeyReused
        self.observe(found)
        return found

    async def _find(self, namespace: str, name: str, *, instead: QueueFull) -> AgentRun:
        """A run that was made before: to be told its answer takes no place in the queue."""
        try:
            return await self._store.get(namespace, name)
        except ApiError as error:
            raise (instead if error.not_found else error) from None

    def _manifest(self, instance: SympoziumInstance, request: RunRequest, name: str, digest: str) -> dict[str, Any]:
        return {
            "apiVersion": names.API_VERSION,
            "kind": "AgentRun",
            "metadata": {
                "name": name,
                "labels": names.labels("run", instance=instance.metadata.name)
                | {names.LABEL_SOURCE: request.source, names.LABEL_KEY: names.key_hash(request.key_id)},
                "annotations": {
                    names.ANNOTATION_REPLY_TO: self._reply_to,
                    names.ANNOTATION_ACCEPTED_AT: micro_timestamp(self._clock.now()),
                    names.ANNOTATION_REQUEST_HASH: digest,
                    names.ANNOTATION_KEY_ID: request.key_id,
                    **({names.ANNOTATION_REQUEST_ID: request.request_id} if request.request_id else {}),
                    **(request.trace.annotations if request.trace else {}),
                    **({names.ANNOTATION_FORWARDS: "true"} if request.forwarded else {}),
                },
                "ownerReferences": [owner_reference(instance) | {"controller": False, "blockOwnerDeletion": False}],
            },
            "spec": {
                "agentRef": instance.metadata.name,
                "mode": "task",
                "request": request.body,
                **({"response": request.response} if request.response else {}),
                **_own(instance, request),
            },
        }

    def observe(self, run: AgentRun) -> None:
        """Take note of how a run is in the cluster: its end, or the wish to cancel it, whoever wrote it."""
        self._board.note(run)
        self._claims.observe(run)
        if run.ended:
            self._board.drop_headers(run.key)
            self._board.publish(run.key, endings.record_of(run.status))
        if run.ended or run.spec.cancel:
            self._board.stop(run.key)

    def observe_new(self, run: AgentRun) -> None:
        """A run was just made, by whomever."""
        self._claims.offer(run)

    def observe_closed(self, key: tuple[str, str]) -> None:
        """A run is open no more."""
        self._claims.forget(key)
        self._board.drop_headers(key)

    def observe_deleted(self, key: tuple[str, str]) -> None:
        """Take note that a run is gone from the cluster."""
        self._board.publish(key, records.error("lost", "the run was deleted", 502))
        self._board.stop(key)

    def cancel_unless_wanted(self, key: tuple[str, str]) -> None:
        """Cancel a run that nobody here waits for any more; it goes on in the background until the API server has taken it."""
        if not self._board.wanted(key):
            self._board.stop(key)
            self._later.do(self._cancel(key))

    async def _cancel_in_doubt(self, key: tuple[str, str]) -> None:
        """Cancel a run that may have been made, and that nobody will ever ask for; or is made yet, by an API server that hung."""
        await self._cancel(key)
        await asyncio.sleep(_IN_DOUBT_SECONDS)
        await self._cancel(key)

    async def _cancel(self, key: tuple[str, str]) -> None:
        await self._later.insist(key, lambda: self._store.cancel(*key))


def _run_name(instance: SympoziumInstance, key_id: str, idempotency_key: str | None) -> str:
    """Picked before the first attempt to create it, so that a repeated attempt finds the run (rule 6)."""
    prefix = instance.metadata.name
    if idempotency_key is None:
        return f"{prefix}-{secrets.token_hex(6)}"
    parts = json.dumps([instance.metadata.uid, key_id, idempotency_key])
    return f"{prefix}-{hashlib.sha256(parts.encode()).hexdigest()[:20]}"


def _own(instance: SympoziumInstance, request: RunRequest) -> dict[str, Any]:
    """What the request wants otherwise than the instance has it."""
    agent, found = instance.spec.agents.default, dict[str, Any]()
    if request.model not in (None, agent.model):
        found["model"] = {"model": request.model}
    wait, nobody_else = request.wait_seconds, request.idempotency_key is None
    if wait is not None and nobody_else and wait < seconds(agent.run_timeout):
        found["timeout"] = f"{math.ceil(wait)}s"  # should this replica, and its timer, be gone by then
    return found


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
