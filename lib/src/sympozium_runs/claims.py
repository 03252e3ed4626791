"""Claims of idle pods for runs: a run is created for a claimed pod that it names, or without one, and the pod is bound to it."""

import contextlib
from collections.abc import Coroutine
from typing import Any

from sympozium_api import effective, names
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun, Claim
from sympozium_runs.background_writes import BackgroundWrites
from sympozium_runs.idle_pods import IdlePods, Poll
from sympozium_runs.run_queue import Key, RunQueues
from sympozium_runs.run_request import RunRequest
from sympozium_runs.run_store import RunStore
from sympozium_runs.waiting_runs import WaitingRuns

_CLAIM_SECONDS = 30.0
"""Seconds from its creation in which a run may get an idle pod, because an operator of 0.2.0 counts the timeout of a warm run from
its creation. An older run, which waited in the queue, starts cold."""


class Claims:
    """Claims and binds the idle pods of this replica, which are all of one instance; those of other instances poll elsewhere.

    A run without a pod waits, as far as this replica is concerned, until its start is decided: by a replica that binds it to its next
    idle pod, or by the operator, which knows the pods that start and lets the run start cold where that is sooner.
    """

    def __init__(
        self, store: RunStore, idle: IdlePods, queues: RunQueues, background_writes: BackgroundWrites, clock: Clock
    ) -> None:
        self._store = store
        self._idle = idle
        self._queues = queues
        self._background_writes = background_writes
        self._clock = clock
        self._waiting = WaitingRuns()
        idle.on_idle = self._serve_waiting

    async def create(self, instance: SympoziumInstance, manifest: dict[str, Any], request: RunRequest) -> AgentRun:
        """Create a request's run: for an idle pod, which is bound to it at once, or else for the next one or a pod of its own."""
        namespace = instance.metadata.namespace
        poll = self._claim(instance)
        if poll is None:
            if request.may_be_warm(instance) and self._idle.expects(instance) and self._has_slot(instance):
                manifest["metadata"]["annotations"][names.ANNOTATION_AWAITS_IDLE_POD] = "true"
            return await self._store.create(namespace, manifest, request.stored_texts, is_large=request.is_large)
        try:
            manifest["spec"]["claim"] = poll.claim.model_dump(by_alias=True)
            run = await self._store.create(namespace, manifest, request.stored_texts)
        except ApiError:
            poll.release()
            raise
        except BaseException:
            poll.discard()  # the run may have been created, and names this pod
            raise
        if not poll.bind(run, instance):
            start_cold = self._background_writes.retry(run.key, "start", lambda: self._store.decide_start(run, "cold"))
            self._background_writes.spawn(start_cold)
        return run

    def on_run_created(self, run: AgentRun) -> None:
        """Let a run that was created without an idle pod wait for one here."""
        if self._idle.are_of(run.instance_key) and self._may_wait(run) and self._is_young(run):
            self._waiting.add(run.without_contents())
            self._serve_waiting()

    def on_run_change(self, run: AgentRun) -> None:
        """Follow a run as the cluster has it; bind the pod that it names, where that pod waits here."""
        if run.ended:
            self.forget(run.key)
            return
        if not self._idle.are_of(run.instance_key):
            return
        if not self._may_wait(run):
            self._waiting.forget(run.key)
        self._idle.on_run_change(run)
        is_named = run.spec.claim and run.status.start is None and effective.claim_conflict(run) is None
        if is_named and run.spec.claim and (poll := self._idle.claim_pod(run.spec.claim.pod_name)):
            self._background_writes.spawn(self._unless_refused(self._bind_named(run, poll)))

    def forget(self, key: Key) -> None:
        """Forget a run that is no longer open."""
        self._idle.forget(key)
        self._waiting.forget(key)
        self._serve_waiting()  # the run may have held a slot of its instance

    def _is_young(self, run: AgentRun) -> bool:
        return (self._clock.now() - run.metadata.created).total_seconds() < _CLAIM_SECONDS

    def _may_wait(self, run: AgentRun) -> bool:
        """Return whether an idle pod here may be bound to a run. Only the replica with its caller has a run's forwarded headers."""
        annotations = run.metadata.annotations
        is_elsewhere = annotations.get(names.ANNOTATION_REPLY_TO) != self._idle.address
        needs_caller = names.ANNOTATION_FORWARDS in annotations and is_elsewhere
        can_start = run.status.job_name is None and not run.spec.cancel and not needs_caller
        return can_start and self._idle.may_take(run)

    def _claim(self, instance: SympoziumInstance) -> Poll | None:
        """Claim a pod for a run that already has its slot in the queue, unless the run would exceed ``maxConcurrentRuns``."""
        return self._idle.claim(instance) if self._has_slot(instance) else None

    def _has_slot(self, instance: SympoziumInstance) -> bool:
        """Return whether ``maxConcurrentRuns`` allows the newest run, which has its slot in the queue, to start at once."""
        return self._queues.of(instance.key).used <= instance.spec.max_concurrent_runs

    def _waiting_has_slot(self, instance: SympoziumInstance) -> bool:
        """Return whether ``maxConcurrentRuns`` allows one of the runs that wait to start."""
        return self._queues.of(instance.key).used - len(self._waiting) < instance.spec.max_concurrent_runs

    def _serve_waiting(self) -> None:
        """Bind idle pods to the runs that wait and are still young enough."""
        self._waiting.retain(lambda run: self._is_young(run) and self._idle.may_take(run))
        while len(self._waiting) and (claimed := self._idle.claim_for_waiting(self._waiting_has_slot)):
            run = self._waiting.take(self._queues.of(claimed[1].key).open_by_key())
            if run is not None:
                self._background_writes.spawn(self._unless_refused(self._bind_waiting(run, *claimed)))

    async def _unless_refused(self, binding: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(ApiError, ApiUnavailable):  # the run then starts cold
            await binding

    async def _bind_waiting(self, run: AgentRun, poll: Poll, instance: SympoziumInstance) -> None:
        """Bind a run that waits to a claimed pod. The first writer of the run's start, a replica or the operator, wins."""
        try:
            await self._bind_or_discard(run, instance, poll, poll.claim)
        except (ApiError, ApiUnavailable):
            self._waiting.put_back(run)  # if the write took effect nevertheless, the next one is refused
            raise

    async def _bind_named(self, run: AgentRun, poll: Poll) -> None:
        """Bind a run to the pod that it names and that waits here: the replica that named it has not noticed that the pod left."""
        try:
            instance = await self._store.instance(run.metadata.namespace, run.spec.agent_ref)
        except BaseException:
            poll.discard()
            raise
        await self._bind_or_discard(run, instance, poll, None)

    async def _bind_or_discard(
        self, run: AgentRun, instance: SympoziumInstance, poll: Poll, claim: Claim | None
    ) -> None:
        try:
            await bind_if_first(self._store, poll, run, instance, claim)
        except BaseException:
            poll.discard()  # it is unknown whether the run is this pod's
            raise


async def bind_if_first(
    store: RunStore, poll: Poll, run: AgentRun, instance: SympoziumInstance, claim: Claim | None = None
) -> None:
    """Write that a run starts warm, and bind the pod to it; release the pod where another start was written before.

    ``claim`` is written as well, for a run that names no pod. After an ApiError or ApiUnavailable the poll is still open,
    because it is unknown whether the run is this pod's.
    """
    if not await store.decide_start(run, "warm", claim) or not poll.bind(run, instance):
        poll.release()
