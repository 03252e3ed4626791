"""Claims of idle pods for runs: a run is created for a claimed pod that it names, or without one, and the pod is bound to it."""

import contextlib
from collections.abc import Coroutine
from typing import Any

from sympozium_api import effective
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun, Claim
from sympozium_runs.background_writes import BackgroundWrites
from sympozium_runs.idle_pods import IdlePods, Key, Poll
from sympozium_runs.run_queue import RunQueue
from sympozium_runs.run_request import RunRequest
from sympozium_runs.run_store import RunStore

_CLAIM_SECONDS = 30.0
"""Seconds from its creation in which a run may get an idle pod, because an operator of 0.2.0 counts the timeout of a warm run from
its creation. An older run, which waited in the queue, starts cold."""


class Claims:
    """Claims and binds the idle pods of this replica."""

    def __init__(
        self, store: RunStore, idle: IdlePods, queue: RunQueue, background_writes: BackgroundWrites, clock: Clock
    ) -> None:
        self._store = store
        self._idle = idle
        self._queue = queue
        self._background_writes = background_writes
        self._clock = clock

    async def create(self, instance: SympoziumInstance, manifest: dict[str, Any], request: RunRequest) -> AgentRun:
        """Create a request's run: for an idle pod, which is bound to it at once, or for a pod that the operator creates."""
        namespace = instance.metadata.namespace
        poll = self._claim(instance)
        if poll is None:
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
        """Claim an idle pod for a run that was just created without one, and that no caller at any replica waits for."""
        can_start = run.status.job_name is None and not run.spec.cancel
        if can_start and effective.is_claimable(run) and self._idle.any_claimable and self._is_young(run):
            self._background_writes.spawn(self._unless_refused(self._claim_for(run)))

    def on_run_change(self, run: AgentRun) -> None:
        """Follow a run as the cluster has it; bind the pod that it names, where that pod waits here."""
        if run.ended:
            self._idle.forget(run.key)
            return
        self._idle.on_run_change(run)
        is_named = run.spec.claim and run.status.start is None and effective.claim_conflict(run) is None
        if is_named and run.spec.claim and (poll := self._idle.claim_pod(run.spec.claim.pod_name)):
            self._background_writes.spawn(self._unless_refused(self._bind_named(run, poll)))

    def forget(self, key: Key) -> None:
        """Forget a run that is no longer open."""
        self._idle.forget(key)

    def _is_young(self, run: AgentRun) -> bool:
        return (self._clock.now() - run.metadata.created).total_seconds() < _CLAIM_SECONDS

    def _claim(self, instance: SympoziumInstance) -> Poll | None:
        """Claim a pod for a run that already has its slot in the queue, unless the run would exceed ``maxConcurrentRuns``."""
        return self._idle.claim(instance) if self._queue.used <= instance.spec.max_concurrent_runs else None

    async def _unless_refused(self, binding: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(ApiError, ApiUnavailable):  # the run then starts cold
            await binding

    async def _claim_for(self, run: AgentRun) -> None:
        """Claim a pod for a run that names none. The first writer of the run's start, a replica or the operator, wins."""
        instance = await self._store.instance(run.metadata.namespace, run.spec.agent_ref)
        poll = self._claim(instance)
        if poll is None:
            return
        await self._bind_or_discard(run, instance, poll, poll.claim)

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
