"""The idle pods of an instance that wait at this replica for a run. No I/O.

A pod waits in a request, its poll, at one replica at a time, and does one task in its life: so who holds its poll alone decides
what it is given, and a run that names the pod needs no other lock.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun, Claim
from sympozium_runs.agent_api_metrics import AgentApiMetrics

Key = tuple[str, str]
"""Namespace and name of a run."""

POLL_SECONDS = 25.0
"""How long a poll is held: then the pod asks again, perhaps at another replica."""
LOST_SECONDS = 2.0
"""For how long a pod that lost its replica is not given away: a run that names it may be on its way to us."""


@dataclass(frozen=True)
class Given:
    """The run that a pod is to do, and its instance."""

    run: AgentRun
    instance: SympoziumInstance


class NotGiven(Enum):
    """How else a poll ends."""

    AGAIN = "again"
    """There was nothing to do: the pod is to ask again."""
    UNWANTED = "unwanted"
    """The pod is to end."""


class Poll:
    """One request in which an idle pod waits. Whoever took it gives it a run, puts it back, or retires it."""

    def __init__(self, pod: str) -> None:
        self.pod = pod
        self.claim = Claim(job_name=names.job_of_pod(pod), pod_name=pod)
        self.is_taken = False
        self._left = False
        self._answer: asyncio.Future[Given | NotGiven] = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        """Whether the pod still waits in it."""
        return not self._answer.done()

    def give(self, run: AgentRun, instance: SympoziumInstance) -> bool:
        """Hand a run to the pod; False: it has left, without any task, and this one will never reach it."""
        if self._left:
            return False
        self._settle(Given(run, instance))
        return True

    def put_back(self) -> None:
        """There is no run for the pod after all: it asks again."""
        self._settle(NotGiven.AGAIN)

    def retire(self) -> None:
        """The pod is of no more use, or nobody knows whether a run names it: it ends."""
        self._settle(NotGiven.UNWANTED)

    def leave(self) -> None:
        """The pod has closed the connection."""
        self._left = True
        self._settle(NotGiven.AGAIN)

    async def wait(self, seconds: float) -> Given | NotGiven:
        """What the pod is answered; while somebody has taken it the time does not count."""
        await asyncio.wait({self._answer}, timeout=seconds)
        if not self.is_taken:
            self._settle(NotGiven.AGAIN)
        return await self._answer

    def _settle(self, answer: Given | NotGiven) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)


class IdlePods:
    """All polls at this replica, and which pods the instance's open runs name."""

    def __init__(self, address: str, metrics: AgentApiMetrics) -> None:
        self.address = address
        """Base URL of this replica's runs surface."""
        self._metrics = metrics
        self._waiting: dict[str, Poll] = {}
        """By pod, the one that waits longest first."""
        self._named: dict[str, Key] = {}
        self._asked: dict[asyncio.Future[Key], str] = {}
        """By who asks, for which pod: a pod may ask again before it is noticed that it left."""
        self._generation: str | None = None
        self._is_draining = False
        metrics.idle.set_function(lambda: len(self._waiting))

    @contextmanager
    def poll(self, pod: str) -> Iterator[Poll]:
        """A pod asks, and is not given away until it is ``offered``."""
        poll = Poll(pod)
        try:
            yield poll
        finally:
            poll.leave()
            if self._waiting.get(pod) is poll:
                del self._waiting[pod]

    @property
    def any(self) -> bool:
        """Whether a pod waits here."""
        return bool(self._waiting)

    def drain(self) -> None:
        """The replica is to go: its pods ask again, and reach another one."""
        self._is_draining = True
        for poll in self._waiting.values():
            poll.put_back()
        self._waiting.clear()

    def offer(self, poll: Poll) -> None:
        """From now on the pod may be taken, if it is one of those that the instance wants."""
        if self._is_draining:
            poll.put_back()
        elif self.wants(poll.pod):
            self._waiting[poll.pod] = poll
        else:
            poll.retire()

    def wants(self, pod: str) -> bool:
        """Whether a pod is of the generation that the instance has now."""
        return names.idle_generation(pod) == self._generation

    def expect(self, instance: SympoziumInstance) -> None:
        """Take note of what idle pods are made from now; those of another generation end."""
        pool = instance.status.warm_pool
        self._generation = pool.generation if pool else None
        for pod, poll in list(self._waiting.items()):
            if not self.wants(pod):
                del self._waiting[pod]
                poll.retire()

    def take(self, instance: SympoziumInstance) -> Poll | None:
        """A pod for a run of the instance, as this was read; None: there is none here, or the spec is newer than the pool."""
        if instance.status.warm_pool is None:
            return None
        settled = instance.status.observed_generation == instance.metadata.generation
        if settled and instance.status.warm_pool.generation == self._generation:
            while self._waiting:
                if poll := self.take_named(next(iter(self._waiting))):
                    self._metrics.claimed.inc()
                    return poll
        self._metrics.missed.inc()
        return None

    def take_named(self, pod: str) -> Poll | None:
        """The poll of this pod, if it waits here."""
        poll = self._waiting.pop(pod, None)
        if poll is None or not poll.is_open:
            return None
        poll.is_taken = True
        return poll

    def observe(self, run: AgentRun) -> None:
        """Take note of a run that has not ended."""
        pod = run.claimed_pod
        if pod is not None and self._named.get(pod) != run.key:
            self._named[pod] = run.key
            for asked, by in self._asked.items():
                if by == pod and not asked.done():
                    asked.set_result(run.key)
        elif run.spec.claim and pod is None:
            self._named.pop(run.spec.claim.pod_name, None)

    def forget(self, key: Key) -> None:
        """A run has ended or is gone."""
        for pod in [pod for pod, named_by in self._named.items() if named_by == key]:
            del self._named[pod]

    async def run_of(self, pod: str, within: float = LOST_SECONDS) -> Key | None:
        """The open run that names a pod, as soon as one is seen."""
        if pod in self._named:
            return self._named[pod]
        asked: asyncio.Future[Key] = asyncio.get_running_loop().create_future()
        self._asked[asked] = pod
        try:
            return await asyncio.wait_for(asked, within)
        except TimeoutError:
            return None
        finally:
            del self._asked[asked]
