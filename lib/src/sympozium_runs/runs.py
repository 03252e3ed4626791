"""Creation of runs, and following them to their end: what the web-proxy's routes call."""

import asyncio
from typing import Protocol

from sympozium_api import agent_protocol, names, terminal_status
from sympozium_api.agent_records import End, Record
from sympozium_api.base import Metadata
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_runs import key_attempts, long_answers
from sympozium_runs.abandoned_runs import AbandonedRuns
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.background_writes import BackgroundWrites
from sympozium_runs.broker import RunBroker, Subscriber
from sympozium_runs.claims import Claims
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.key_attempts import CancelPending, KeyReused
from sympozium_runs.run_parts import answer_size
from sympozium_runs.run_policies import RunPolicies
from sympozium_runs.run_queue import QueueFull, RunQueue, RunQueues
from sympozium_runs.run_request import RunRequest, name_of
from sympozium_runs.run_store import Hold, PartsNotStored, RunStore, hold_any

_CANCEL_SECONDS = 15.0
"""Seconds for which a request waits for the end of its key's cancelled run, which takes well below a second as a rule."""
_IN_DOUBT_SECONDS = 2.0
"""Seconds in which the creation of a run may still take effect after the API server became unreachable."""
_LAST_WRITES_SECONDS = 5.0
"""Seconds for which a process that ends waits for its writes."""


class RunObserver(Protocol):
    """Measures a run as its caller sees it."""

    def on_record(self, record: Record) -> None:
        """Take a record that the caller reads."""

    def close(self) -> None:
        """Finish: the caller reads no more."""


class RunHandle:
    """A run and one subscription to its records, held by the request that waits for it."""

    def __init__(
        self,
        run: AgentRun,
        subscriber: Subscriber,
        runs: "Runs",
        queue: RunQueue,
        *,
        is_new: bool = False,
        may_return: bool = False,
    ) -> None:
        self.run = run
        """The run as it was when the subscription began; without question and answer from the first wait on."""
        self.is_new = is_new
        """True if the run was created for this handle, and not found."""
        self._may_return = may_return
        self._subscriber = subscriber
        self._runs = runs
        self._queue = queue
        self._observer: RunObserver | None = None
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, observer: RunObserver) -> None:
        """Let an observer see each record that the caller reads."""
        self._observer = observer
        self._subscriber.on_record = observer.on_record

    def expire_after(self, seconds: float, *, since: float) -> None:
        """End the wait with an error of status 504 unless the run ends in time. ``since`` is a time of the event loop."""
        end = agent_protocol.error("deadline_exceeded", f"No answer within {seconds:g} s (x-request-timeout).", 504)
        self._timer = asyncio.get_running_loop().call_at(since + seconds, self._subscriber.expire, end)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.metadata.name

    async def next(self, within: float | None = None) -> Record | None:
        """Return the next record, or None after ``within`` seconds of silence. Raises ClientDisconnected after ``disconnect``."""
        self._drop_contents()
        return await self._subscriber.next(within)

    async def end(self) -> End:
        """Wait for the end record. Raises ClientDisconnected after ``disconnect``."""
        self._drop_contents()
        return await self._subscriber.end()

    def disconnect(self) -> None:
        """Raise ClientDisconnected in the reader, because the caller has closed its connection."""
        self._subscriber.disconnect()

    def close(self) -> None:
        """End the subscription. A run whose last caller leaves before its end is cancelled (rule 7), unless it is a background run;
        if the caller may return, only if nobody comes for it within the grace period.
        """
        if self._timer:
            self._timer.cancel()
        self._subscriber.close()
        self._queue.release(self.name)
        if self._observer:
            self._observer.close()
        if self._subscriber.is_caller and not self._subscriber.ended:
            self._runs.on_caller_left(self._subscriber.key, may_return=self._may_return)

    def _drop_contents(self) -> None:
        if self.run.has_contents:
            self.run = self.run.without_contents()


class Runs:
    """Creates, follows and cancels runs of instances."""

    def __init__(
        self,
        store: RunStore,
        broker: RunBroker,
        queues: RunQueues,
        clock: Clock,
        *,
        idle: IdlePods,
        metrics: AgentApiMetrics,
        key_grace_seconds: float = 30.0,
    ) -> None:
        """``key_grace_seconds``: time for which a run with an Idempotency-Key continues without a caller."""
        self._store = store
        self._broker = broker
        self._queues = queues
        self._clock = clock
        self._reply_to = idle.address or None
        self.background_writes = BackgroundWrites(queues.__contains__, metrics.refused_writes)
        self._abandoned = AbandonedRuns(
            store, broker, self.background_writes, address=idle.address, grace_seconds=key_grace_seconds
        )
        self._claims = Claims(store, idle, queues, self.background_writes, clock)
        self.policies = RunPolicies(store.documents, metrics)

    async def start(self, instance: SympoziumInstance, request: RunRequest, hold: Hold = hold_any) -> RunHandle:
        """Create the run of a request, or find the run that the same Idempotency-Key and body created before.

        ``hold`` is called with the bytes of texts of a found run that are about to be read from parts; what it raises passes.
        A cancelled run of the key is followed by another one, whose name every replica finds in the same way (decision 0041). Raises
        KeyReused (other body), TurnCancelled, CancelPending, QueueFull, Refusal 403 (a policy), ApiError (refused), ApiUnavailable.
        """
        instance = await self.policies.admitted(instance, request.model, is_elsewhere=not request.may_be_warm(instance))
        began, number, first = asyncio.get_running_loop().time(), 0, None
        while isinstance(handle := await self._attempt(instance, request, number, hold), AgentRun):
            first = first or handle
            request = key_attempts.following(request, first, instance, self._clock.now())
            number = await self._next_attempt(first, number, request.key_expires)
        if request.wait_seconds is not None:
            handle.expire_after(request.wait_seconds, since=began)
        return handle

    async def _next_attempt(self, first: AgentRun, cancelled: int, expires: str | None) -> int:
        """Return the number of the run to ask for after a cancelled one: the key's newest, or another one, which is recorded first."""
        if (recorded := key_attempts.newest(first)) > cancelled:
            return recorded
        await self._store.record_attempt(first, cancelled + 1, expires)
        return cancelled + 1

    async def _attempt(
        self, instance: SympoziumInstance, request: RunRequest, number: int, hold: Hold
    ) -> RunHandle | AgentRun:
        """Create or find a run of the request. Return the run itself if it was cancelled."""
        name = name_of(request, instance, number)
        queue = self._queues.of(instance.key)
        key = (instance.metadata.namespace, name)  # subscribed first, because its pod may be quick
        subscriber = self._broker.subscribe(key, is_caller=not request.background, keeps_history=request.is_resumable)
        try:
            run, is_new = await self._create_or_find(instance, request, name, queue, hold)
            run = run if is_new else await self._join(run, request, hold)
        except BaseException as failure:
            subscriber.close()
            queue.release(name)
            if isinstance(failure, ApiUnavailable):
                self._cancel_in_doubt(key, request)
            raise
        if not is_new and run.status.phase == "Cancelled":
            subscriber.close()
            queue.release(name)
            return run
        return RunHandle(run, subscriber, self, queue, is_new=is_new, may_return=request.may_return)

    async def _join(self, run: AgentRun, request: RunRequest, hold: Hold) -> AgentRun:
        """Let a request wait for a run that was found, and return the run as it is then: a cancelled one has ended."""
        if request.may_return and not request.background:
            run = await self._abandoned.join(run)
        if run.spec.cancel and not run.ended:
            ending = self._broker.subscribe(run.key, is_caller=False)
            try:
                async with asyncio.timeout(_CANCEL_SECONDS):
                    await ending.end()
            except TimeoutError as failure:
                raise CancelPending from failure
            finally:
                ending.close()
            run = await self._store.get(*run.key, hold)
        return run

    async def get(self, namespace: str, name: str, hold: Hold = hold_any) -> AgentRun:
        """Read a run. Raises ApiError, ApiUnavailable, and what ``hold`` raises."""
        return await self._store.get(namespace, name, hold)

    async def follow(self, namespace: str, name: str, hold: Hold = hold_any) -> RunHandle:
        """Subscribe to a run that was created earlier; the subscription does not keep it alive. Raises as ``get`` does.

        Where another replica receives the pod's records, only the end is seen here, when it is stored.
        """
        subscriber = self._broker.subscribe((namespace, name), is_caller=False)  # first: it may end during the read
        try:
            run = await self._store.get(namespace, name, hold)
            await self.on_read(run)
        except BaseException:
            subscriber.close()
            raise
        return RunHandle(run, subscriber, self, self._queues.of(run.instance_key))

    async def ended_of(
        self, namespace: str, instance: str, key_id: str, *, limit: int, after: str
    ) -> tuple[list[Metadata], str]:
        """Read a page of an instance's ended runs of one key, without contents.

        Return it with the start of the next page, "" after the last one. Raises ApiError (400, 410: a bad ``after``), ApiUnavailable.
        """
        labels = f"{names.LABEL_INSTANCE}={instance},{names.LABEL_KEY}={names.key_hash(key_id)}"
        return await self._store.ended(namespace, labels, limit=limit, after=after)

    async def cancel(self, run: AgentRun) -> None:
        """Ask the operator to end a run. Raises ApiError, ApiUnavailable."""
        await self._store.cancel(*run.key)
        self._broker.stop(run.key)

    async def discard(self, run: AgentRun) -> None:
        """Ask the operator to end a run, unless it has ended, and to delete it. Raises ApiError, ApiUnavailable."""
        await self._store.discard(*run.key)
        self._broker.stop(run.key)

    async def on_read(self, run: AgentRun) -> None:
        """Follow a run that was read with its texts, as ``on_change``. The end of a long answer is made in a thread."""
        self.on_change(run, await long_answers.record_of(run.status) if run.ended else None)

    def on_change(self, run: AgentRun, end: End | None = None) -> None:
        """Follow a run as the cluster has it: its end, or the wish to cancel it, whoever wrote them."""
        self._broker.remember(run)
        self._claims.on_run_change(run)
        if run.ended:
            self._broker.caller_headers.drop(run.key)
            self._broker.publish(run.key, end or terminal_status.record_of(run.status), answer_size(run.status))
        if run.ended or run.spec.cancel:
            self._broker.stop(run.key)

    def on_created(self, run: AgentRun) -> None:
        """Follow a run that was just created, by whomever."""
        self._claims.on_run_created(run)

    def on_closed(self, key: tuple[str, str]) -> None:
        """Forget what is kept for open runs only."""
        self._claims.forget(key)
        self._abandoned.forget(key)
        self._broker.caller_headers.drop(key)

    def on_deleted(self, key: tuple[str, str]) -> None:
        """End the wait for a run that was deleted from the cluster."""
        self._broker.publish(key, agent_protocol.error("lost", "The run was deleted.", 502))
        self._broker.stop(key)

    def on_unreadable(self, key: tuple[str, str]) -> None:
        """End the wait for a run that has ended with a status that cannot be read."""
        self._broker.publish(key, agent_protocol.error("internal_error", "The run's status cannot be read.", 502))
        self._broker.stop(key)

    def drain(self) -> None:
        """Cancel the runs that callers here have left, instead of waiting for the end of their grace periods."""
        self._abandoned.drain()

    async def finish_writes(self) -> None:
        """Wait a few seconds for the writes under way, before the process ends."""
        await self.background_writes.finish(_LAST_WRITES_SECONDS)

    def on_caller_left(self, key: tuple[str, str], *, may_return: bool) -> None:
        """Cancel a run that no caller here waits for any longer, at once unless the caller may return."""
        if self._broker.has_caller(key) or self._broker.is_ending(key):
            return
        if may_return:
            self._abandoned.leave(key)
        else:
            self._broker.stop(key)
            self.background_writes.spawn(self._cancel(key))

    async def _create_or_find(
        self, instance: SympoziumInstance, request: RunRequest, name: str, queue: RunQueue, hold: Hold
    ) -> tuple[AgentRun, bool]:
        """Return the run of this name, and whether it was created now."""
        namespace = instance.metadata.namespace
        slots = 0 if request.is_retry_only else instance.spec.max_concurrent_runs + instance.spec.max_queued_runs
        try:
            queue.reserve(name, request.key_id, slots)
            with self._broker.caller_headers.holding((namespace, name), request.forwarded):
                await request.prepared()
                manifest = request.manifest(instance, name, reply_to=self._reply_to, now=self._clock.now())
                created = await self._claims.create(instance, manifest, request)
        except PartsNotStored as failure:
            if isinstance(failure.cause, ApiError):  # after ApiUnavailable a retry may complete the run
                self.background_writes.spawn(self._cancel((namespace, name)))
            raise failure.cause from failure
        except QueueFull as full:
            if request.idempotency_key is None:
                raise
            existing = await self._find(namespace, name, instead=full)
        except ApiError as error:
            if not error.already_exists:
                raise
            existing = await self._store.head(namespace, name)
        else:
            self._broker.remember_created(created.without_contents() if request.is_large else created)
            return created, True
        await request.prepared()  # a full queue is noticed before
        if existing.metadata.annotations.get(names.ANNOTATION_REQUEST_HASH) != request.digest:
            raise KeyReused
        existing = await self._store.complete(existing, request.stored_texts, hold)
        await self.on_read(existing)
        return existing, False

    async def _find(self, namespace: str, name: str, *, instead: QueueFull) -> AgentRun:
        """Read a run that was created before: its answer needs no slot. Raises ``instead`` where there is none."""
        try:
            return await self._store.head(namespace, name)
        except ApiError as error:
            raise (instead if error.not_found else error) from None

    def _cancel_in_doubt(self, key: tuple[str, str], request: RunRequest) -> None:
        """Cancel a run that may have been created, or may still be by an API server that hung, unless somebody asks for it."""
        if request.idempotency_key is None:
            self.background_writes.spawn(self._cancel_twice(key))
        elif not request.background:
            self._abandoned.leave(key)

    async def _cancel_twice(self, key: tuple[str, str]) -> None:
        await self._cancel(key)
        await asyncio.sleep(_IN_DOUBT_SECONDS)
        await self._cancel(key)

    async def _cancel(self, key: tuple[str, str]) -> None:
        await self.background_writes.retry(key, "cancel", lambda: self._store.cancel(*key))
