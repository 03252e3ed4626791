"""The idle pods of an instance whose long poll this replica holds. No I/O.

A pod polls one replica at a time and works on one run in its life. So the replica that holds a pod's poll alone decides which
run the pod is bound to, and a run that names the pod needs no other lock.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from sympozium_api import effective, names
from sympozium_api.instance import SympoziumInstance, WarmPoolStatus
from sympozium_api.run import AgentRun, Claim
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.run_queue import InstanceKey, Key

POLL_SECONDS = 25.0
"""Seconds for which a poll is held. Then the pod polls again, perhaps at another replica."""
LOST_SECONDS = 2.0
"""Seconds for which a pod that lost its replica is not claimable, because a run that names it may still arrive here."""

EXPECTED_SECONDS = 5.0
"""Seconds since a pod of the pool was last seen to start in which another one is expected, because the pool is being refilled."""


@dataclass(frozen=True)
class Binding:
    """The run that a pod is bound to, and the run's instance."""

    run: AgentRun
    instance: SympoziumInstance

    def surface(self, own: str) -> str:
        """Return the agent API that the pod sends its records to: the caller's replica for a run that waited, else ``own``."""
        return (effective.reply_to(self.run) if self.run.spec.claim is None else None) or own


class Unbound(Enum):
    """Answers to a poll that binds the pod to no run."""

    POLL_AGAIN = "poll again"
    """There is no run for the pod yet."""
    EXIT = "exit"
    """The pod will get no run."""


class Poll:
    """One request of an idle pod. Whoever claims it binds the pod to a run, releases it, or discards it."""

    def __init__(self, pod: str) -> None:
        self.pod = pod
        self.claim = Claim(job_name=names.job_of_pod(pod), pod_name=pod)
        self.is_claimed = False
        self._disconnected = False
        self._answer: asyncio.Future[Binding | Unbound] = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        """True until the poll has its answer."""
        return not self._answer.done()

    def bind(self, run: AgentRun, instance: SympoziumInstance) -> bool:
        """Bind the pod to a run. Return False if the pod has left without a run: this one will never reach it."""
        if self._disconnected:
            return False
        self._settle(Binding(run, instance))
        return True

    def release(self) -> None:
        """Give up the claim: there is no run for the pod, and it polls again."""
        self._settle(Unbound.POLL_AGAIN)

    def discard(self) -> None:
        """Let the pod exit, because its template is outdated or a run may name it that it cannot be bound to."""
        self._settle(Unbound.EXIT)

    def disconnect(self) -> None:
        """Settle the poll because the pod has closed the connection."""
        self._disconnected = True
        self._settle(Unbound.POLL_AGAIN)

    async def wait(self, seconds: float) -> Binding | Unbound:
        """Wait for the answer. A poll that is claimed is answered by its claimant, however long that takes."""
        await asyncio.wait({self._answer}, timeout=seconds)
        if not self.is_claimed:
            self._settle(Unbound.POLL_AGAIN)
        return await self._answer

    def _settle(self, answer: Binding | Unbound) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)


class IdlePods:
    """All polls at this replica, and the pods that the instance's open runs name."""

    def __init__(self, address: str, metrics: AgentApiMetrics, *, of_instance: bool = True) -> None:
        """``of_instance``: False for a process of all instances, whose idle pods all poll the instances' web-proxies."""
        self.address = address
        """Base URL of this replica's agent API; empty: it has none."""
        self._of_instance = of_instance
        self._metrics = metrics
        self._claimable: dict[str, Poll] = {}
        """By pod; the one that has waited longest comes first."""
        self._run_by_pod: dict[str, tuple[tuple[str, str], Key]] = {}
        """``claim_order`` and key of the open run that names a pod; of several runs, of the first."""
        self._lookups: dict[asyncio.Future[Key], str] = {}
        """The pod whose run each lookup waits for. A pod may look up again before its disconnect is noticed."""
        self._generation: str | None = None
        self._is_draining = False
        self._instance: SympoziumInstance | None = None
        self._started_at = float("-inf")
        self.on_idle: Callable[[], None] = lambda: None
        """Called when a pod becomes claimable."""
        metrics.idle.set_function(lambda: len(self._claimable))

    @contextmanager
    def poll(self, pod: str) -> Iterator[Poll]:
        """Hold a pod's poll, which is not claimable before ``make_claimable``."""
        poll = Poll(pod)
        try:
            yield poll
        finally:
            poll.disconnect()
            if self._claimable.get(pod) is poll:
                del self._claimable[pod]

    def are_of(self, instance: InstanceKey) -> bool:
        """Return whether the pods here are an instance's."""
        return self._instance is not None and self._instance.key == instance

    def may_take(self, run: AgentRun) -> bool:
        """Return whether a pod of the instance here, as it is by now, may be bound to a run that was created without one."""
        return self._instance is not None and effective.is_claimable(run, self._instance)

    @property
    def any_claimable(self) -> bool:
        """True if a pod here can be claimed."""
        return bool(self._claimable)

    def on_start(self) -> None:
        """Remember that a pod of the pool has just started, and that others may follow."""
        self._started_at = asyncio.get_running_loop().time()

    def expects(self, instance: SympoziumInstance) -> bool:
        """Return whether an idle pod may be here soon, or wait at another replica, for a run of the instance as it was read."""
        if not self._of_instance:
            return _observed_pool(instance) is not None and effective.warm_pool(instance) is not None
        pool = instance.status.warm_pool
        if pool is None or not self._is_settled(instance):
            return False
        is_refilled = asyncio.get_running_loop().time() - self._started_at < EXPECTED_SECONDS
        return is_refilled or (pool.idle > 0 and _has_replicas(instance))

    def drain(self) -> None:
        """Answer all polls because the replica shuts down: the pods poll again, and reach another replica."""
        self._is_draining = True
        for poll in self._claimable.values():
            poll.release()
        self._claimable.clear()

    def make_claimable(self, poll: Poll) -> None:
        """Let a pod be claimed, if it is of the instance's current generation."""
        if self._is_draining:
            poll.release()
        elif self.is_current(poll.pod):
            self._claimable[poll.pod] = poll
            self.on_idle()
        else:
            poll.discard()

    def is_current(self, pod: str) -> bool:
        """Return whether a pod is of the instance's current generation."""
        return names.idle_generation(pod) == self._generation

    def on_instance_change(self, instance: SympoziumInstance) -> None:
        """Take over the instance's generation of idle pods, and discard pods of others."""
        pool = instance.status.warm_pool
        self._instance = instance
        self._generation = pool.generation if pool else None
        for pod, poll in list(self._claimable.items()):
            if not self.is_current(pod):
                del self._claimable[pod]
                poll.discard()

    def claim(self, instance: SympoziumInstance) -> Poll | None:
        """Claim a pod for a run of the instance as it was read. Return None if there is none, or the spec is newer than the pool."""
        if instance.status.warm_pool is None or not self.are_of(instance.key):
            return None
        if self._is_settled(instance):
            while self._claimable:
                if poll := self.claim_pod(next(iter(self._claimable))):
                    self._metrics.claimed.inc()
                    return poll
        self._metrics.missed.inc()
        return None

    def claim_for_waiting(
        self, may_claim: Callable[[SympoziumInstance], bool]
    ) -> tuple[Poll, SympoziumInstance] | None:
        """Claim a pod for a run that waits, if there is one and the instance allows it. Return the instance as it is known here."""
        instance = self._instance
        if instance is None or not self._claimable or not self._is_settled(instance) or not may_claim(instance):
            return None
        self.on_start()
        poll = self.claim(instance)
        return (poll, instance) if poll else None

    def _is_settled(self, instance: SympoziumInstance) -> bool:
        """Return whether the idle pods here are made from an instance as it was read."""
        pool = _observed_pool(instance)
        return pool is not None and self.are_of(instance.key) and pool.generation == self._generation

    def claim_pod(self, pod: str) -> Poll | None:
        """Claim this pod, if it can be claimed here."""
        poll = self._claimable.pop(pod, None)
        if poll is None or not poll.is_open:
            return None
        poll.is_claimed = True
        return poll

    def on_run_change(self, run: AgentRun) -> None:
        """Remember which pod an open run names, and answer the lookups of that pod."""
        pod = run.claimed_pod
        claimant = (run.claim_order, run.key)
        if pod is not None and (pod not in self._run_by_pod or claimant < self._run_by_pod[pod]):
            self._run_by_pod[pod] = claimant
            for lookup, looked_up in self._lookups.items():
                if looked_up == pod and not lookup.done():
                    lookup.set_result(run.key)
        elif run.spec.claim and pod is None:
            self.forget(run.key)

    def forget(self, key: Key) -> None:
        """Forget a run that has ended or is gone."""
        for pod in [pod for pod, run in self._run_by_pod.items() if run[1] == key]:
            del self._run_by_pod[pod]

    async def run_of(self, pod: str, within: float = LOST_SECONDS) -> Key | None:
        """Return the open run that names a pod, as soon as it is seen, or None after ``within`` seconds."""
        if pod in self._run_by_pod:
            return self._run_by_pod[pod][1]
        lookup: asyncio.Future[Key] = asyncio.get_running_loop().create_future()
        self._lookups[lookup] = pod
        try:
            async with asyncio.timeout(within):
                return await lookup
        except TimeoutError:
            return None if lookup.cancelled() else lookup.result()  # a run may be seen as the time ends
        finally:
            del self._lookups[lookup]


def _observed_pool(instance: SympoziumInstance) -> WarmPoolStatus | None:
    """Return the pool that the operator made of an instance as it was read; None: it has none, or has another spec by now."""
    status = instance.status
    return status.warm_pool if status.observed_generation == instance.metadata.generation else None


def _has_replicas(instance: SympoziumInstance) -> bool:
    """Return whether idle pods may wait at other replicas of the web endpoint."""
    try:
        endpoint = effective.web_endpoint(instance)
    except effective.InvalidSpec:
        return False
    return endpoint is not None and (endpoint.replicas > 1 or endpoint.autoscaling is not None)
