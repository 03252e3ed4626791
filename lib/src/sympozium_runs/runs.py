"""Start runs and follow them to their end: what the routes of the web-proxy call."""

import asyncio
from typing import Protocol

from sympozium_api import agent_protocol, names, terminal_status
from sympozium_api.agent_protocol import End, Record
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_runs.background_writes import BackgroundWrites
from sympozium_runs.broker import RunBroker, Subscriber
from sympozium_runs.claims import Claims
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.run_queue import QueueFull, RunQueue
from sympozium_runs.run_request import RunRequest, run_name
from sympozium_runs.run_store import RunStore

_IN_DOUBT_SECONDS = 2.0


class KeyReused(Exception):
    """The Idempotency-Key was used before, with another request."""


class Observer(Protocol):
    """One who sees what a caller sees of its run, and measures it."""

    def see(self, record: Record) -> None:
        """A record has come."""

    def close(self) -> None:
        """Nothing more will come."""


class Handle:
    """A run that a caller waits for."""

    def __init__(self, run: AgentRun, follower: Subscriber, runs: "Runs", queue: RunQueue) -> None:
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
        end = agent_protocol.error(
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

    def __init__(self, store: RunStore, board: RunBroker, queue: RunQueue, clock: Clock, *, idle: IdlePods) -> None:
        self._store = store
        self._board = board
        self._queue = queue
        self._clock = clock
        self._reply_to = idle.address
        self._later = BackgroundWrites()
        self._claims = Claims(store, idle, queue, self._later)

    async def start(self, instance: SympoziumInstance, request: RunRequest) -> Handle:
        """Make the run of a request and follow it; the same Idempotency-Key and body find the run made before.

        Raises KeyReused (same key, other body), QueueFull, ApiError (the API server refused the run), ApiUnavailable.
        """
        began = asyncio.get_running_loop().time()
        name = run_name(instance, request.key_id, request.idempotency_key)
        key = (instance.metadata.namespace, name)
        follower = self._board.follow(key, wants=not request.background)  # before the run exists: its pod may be quick
        try:
            run = await self._create_or_find(instance, request, name)
        except BaseException as failure:
            follower.close()
            self._queue.leave(name)
            if isinstance(failure, ApiUnavailable) and request.idempotency_key is None:
                self._later.spawn(self._cancel_in_doubt(follower.key))
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
        namespace = instance.metadata.namespace
        places = instance.spec.max_concurrent_runs + instance.spec.max_queued_runs
        try:
            self._queue.enter(name, request.key_id, places)
            with self._board.keeping((namespace, name), request.forwarded):
                manifest = request.manifest(instance, name, reply_to=self._reply_to, now=self._clock.now())
                made = await self._claims.create(instance, manifest)
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
        if found.metadata.annotations.get(names.ANNOTATION_REQUEST_HASH) != request.digest:
            raise KeyReused
        self.observe(found)
        return found

    async def _find(self, namespace: str, name: str, *, instead: QueueFull) -> AgentRun:
        """A run that was made before: to be told its answer takes no place in the queue."""
        try:
            return await self._store.get(namespace, name)
        except ApiError as error:
            raise (instead if error.not_found else error) from None

    def observe(self, run: AgentRun) -> None:
        """Take note of how a run is in the cluster: its end, or the wish to cancel it, whoever wrote it."""
        self._board.note(run)
        self._claims.observe(run)
        if run.ended:
            self._board.drop_headers(run.key)
            self._board.publish(run.key, terminal_status.record_of(run.status))
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
        self._board.publish(key, agent_protocol.error("lost", "the run was deleted", 502))
        self._board.stop(key)

    def cancel_unless_wanted(self, key: tuple[str, str]) -> None:
        """Cancel a run that nobody here waits for any more; it goes on in the background until the API server has taken it."""
        if not self._board.wanted(key):
            self._board.stop(key)
            self._later.spawn(self._cancel(key))

    async def _cancel_in_doubt(self, key: tuple[str, str]) -> None:
        """Cancel a run that may have been made, and that nobody will ever ask for; or is made yet, by an API server that hung."""
        await self._cancel(key)
        await asyncio.sleep(_IN_DOUBT_SECONDS)
        await self._cancel(key)

    async def _cancel(self, key: tuple[str, str]) -> None:
        await self._later.retry(key, lambda: self._store.cancel(*key))
