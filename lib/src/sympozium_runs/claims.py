"""Runs for idle pods: a pod is taken, a run that names it is made, and the pod gets the run. A run without one is made as well."""

import contextlib
from collections.abc import Coroutine
from typing import Any

from sympozium_api import effective
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_runs.background_writes import BackgroundWrites
from sympozium_runs.idle_pods import IdlePods, Key, Poll
from sympozium_runs.run_queue import RunQueue
from sympozium_runs.run_store import RunStore


class Claims:
    """Who gives the idle pods of this replica away."""

    def __init__(self, store: RunStore, idle: IdlePods, queue: RunQueue, later: BackgroundWrites) -> None:
        self._store = store
        self._idle = idle
        self._queue = queue
        self._later = later

    async def create(self, instance: SympoziumInstance, manifest: dict[str, Any]) -> AgentRun:
        """Make a run: for an idle pod, which gets it at once, or for one that the operator makes."""
        namespace = instance.metadata.namespace
        poll = self._take(instance)
        if poll is None:
            return await self._store.create(namespace, manifest)
        try:
            manifest["spec"]["claim"] = poll.claim.model_dump(by_alias=True)
            run = await self._store.create(namespace, manifest)
        except ApiError:
            poll.put_back()
            raise
        except BaseException:
            poll.retire()  # the run may have been made, and names it
            raise
        if not poll.give(run, instance):
            self._later.spawn(self._later.retry(run.key, lambda: self._store.decide_start(run, {"start": "cold"})))
        return run

    def offer(self, run: AgentRun) -> None:
        """A run was just made: without a caller at any replica, it may have an idle pod of ours."""
        goes_on = run.status.job_name is None and not run.spec.cancel
        if goes_on and effective.is_claimable(run) and self._idle.any:
            self._later.spawn(self._unless_refused(self._give(run)))

    async def _unless_refused(self, giving: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(ApiError, ApiUnavailable):  # then it starts cold
            await giving

    def observe(self, run: AgentRun) -> None:
        """Take note of a run as it is in the cluster."""
        if run.ended:
            self._idle.forget(run.key)
            return
        self._idle.observe(run)
        if run.spec.claim and run.status.start is None and (poll := self._idle.take_named(run.spec.claim.pod_name)):
            self._later.spawn(self._unless_refused(self._give_named(run, poll)))

    def forget(self, key: Key) -> None:
        """A run is open no more."""
        self._idle.forget(key)

    def _take(self, instance: SympoziumInstance) -> Poll | None:
        """A pod for a run that has its place in the queue already."""
        return self._idle.take(instance) if self._queue.held <= instance.spec.max_concurrent_runs else None

    async def _give(self, run: AgentRun) -> None:
        """Give a run to an idle pod that nobody made it for. Whoever says first how it starts, one of us or the operator, is right."""
        instance = await self._store.instance(run.metadata.namespace, run.spec.agent_ref)
        poll = self._take(instance)
        if poll is None:
            return
        named = {"start": "warm", "jobName": poll.claim.job_name, "podName": poll.claim.pod_name}
        await self._decide(run, instance, poll, named)

    async def _give_named(self, run: AgentRun, poll: Poll) -> None:
        """Give a run to the pod that it names, and that waits here: the replica that named it has not noticed that the pod left."""
        try:
            instance = await self._store.instance(run.metadata.namespace, run.spec.agent_ref)
        except BaseException:
            poll.retire()
            raise
        await self._decide(run, instance, poll, {"start": "warm"})

    async def _decide(self, run: AgentRun, instance: SympoziumInstance, poll: Poll, status: dict[str, Any]) -> None:
        try:
            decided = await self._store.decide_start(run, status)
        except BaseException:
            poll.retire()  # nobody knows whether the run is this pod's now
            raise
        if not decided or not poll.give(run, instance):
            poll.put_back()
