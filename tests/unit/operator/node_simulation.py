"""A node that starts a known number of pods a second, with the real operator, on an API server in memory, in simulated time.

Kubelet, Job controller and web-proxies are imitated: the node's capacity is shared by all pods that start, a Job shows a second later
that its pod is ready, and a web-proxy gives an idle pod to the run that has waited longest.
"""

import heapq
import itertools
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.unit.operator.objects import NAMESPACE, WEB_ENDPOINT, at, instance_object, pack_object
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import JOBS, RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import micro_timestamp
from sympozium_operator.result import Key
from sympozium_runs.idle_pods import EXPECTED_SECONDS
from sympozium_runs.waiting_runs import WaitingRuns

CAPACITY = 2.2
"""Pods that the node starts in a second."""
ALONE_SECONDS = 0.7
"""Seconds that a pod takes which starts alone."""
REPORT_SECONDS = 1.0
"""Seconds after which Kubernetes shows a pod's state in its Job's status."""
WATCH_SECONDS = 0.01
WORK_SECONDS = 0.1
"""Seconds that a run takes once its pod has it."""

PRUNE_SECONDS = 10.0
"""Seconds after which an ended run is deleted."""


class Node:
    """Pods that start, and share the node's capacity evenly."""

    def __init__(self) -> None:
        self.left: dict[str, float] = {}
        """Part of each pod's start that is left, by Job."""
        self._time = 0.0

    def next_end(self) -> float:
        """Return the time at which the next pod has started."""
        return self._time + min(self.left.values()) / self._pace() if self.left else math.inf

    def advance(self, time: float) -> list[str]:
        """Let time pass, at most until the next pod has started; return those that have."""
        passed, self._time = time - self._time, time
        pace = self._pace()
        self.left = {job: left - pace * passed for job, left in self.left.items()}
        started = [job for job, left in self.left.items() if left < 1e-6]
        for job in started:
            del self.left[job]
        return started

    def _pace(self) -> float:
        return min(1 / ALONE_SECONDS, CAPACITY / len(self.left)) if self.left else 0.0


@dataclass
class Replica:
    """One web-proxy of an instance."""

    idle: "deque[str]" = field(default_factory=deque)
    """Jobs of the idle pods that poll here."""
    started_at: float = -math.inf
    """Time at which a pod of the pool was last seen to start."""


@dataclass
class Request:
    """One request, and the time that it waited for a pod."""

    run: str
    came: float
    backlog: int
    """Number of requests without a pod when it came, itself included."""
    waited: float | None = None
    has_own_pod: bool = False


class Simulation:
    """Instances with warm pools on one node. Times are seconds since its begin."""

    def __init__(self, *instances: str, size: int, replicas: int = 1, most: int = 100) -> None:
        spec: Object = WEB_ENDPOINT | {"webEndpoint": {"replicas": replicas}, "maxConcurrentRuns": most}
        pool = {"warmPool": {"size": size}}
        objects = [instance_object(name, model=pool, **spec) for name in instances]
        self.world = World(*objects, pack_object())
        self.node = Node()
        self.requests: dict[str, list[Request]] = defaultdict(list)
        self.largest_pool: dict[str, int] = dict.fromkeys(instances, 0)
        self.order: dict[str, list[str]] = defaultdict(list)
        """Runs that waited, in the order in which they got an idle pod."""
        self._replicas = {name: [Replica() for _ in range(replicas)] for name in instances}
        self._waiting: dict[str, WaitingRuns] = defaultdict(WaitingRuns)
        self._events: list[tuple[float, int, Callable[[], Coroutine[Any, Any, None]]]] = []
        self._due: dict[Key, float] = {}
        self._jobs: set[str] = set()
        self._numbers = itertools.count()
        self._pods = itertools.count()

    @property
    def now(self) -> float:
        return self.world.clock.seconds

    async def fill(self) -> None:
        """Begin with full pools."""
        for name in self._replicas:
            await self.world.reconcile(name, "instance")
            self._reconcile_at(Key("pool", NAMESPACE, name), self.now)
        await self.run(60)

    def arrive(self, instance: str, *times: float) -> None:
        """Plan requests at these times, counted from now."""
        for seconds in times:
            self._at(self.now + seconds, lambda: self._arrive(instance))

    async def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while (time := min(self._next_time(), self.node.next_end())) <= until:
            if self.node.next_end() <= self._next_time():
                await self._advance(self.node.next_end() + 1e-6)
                continue
            await self._advance(time)
            if self._events and self._events[0][0] <= time:
                await heapq.heappop(self._events)[2]()
            else:
                await self._reconcile(min(self._due, key=lambda key: self._due[key]))
        await self._advance(until)

    def waits(self, instance: str) -> list[float]:
        """Return the seconds that requests waited, shortest first; infinite for those that have no pod yet."""
        return sorted(math.inf if asked.waited is None else asked.waited for asked in self.requests[instance])

    def idle(self, instance: str) -> int:
        """Return the number of idle pods."""
        return sum(len(replica.idle) for replica in self._replicas[instance])

    def cold(self, instance: str) -> int:
        """Return the number of requests that got a pod of their own."""
        return sum(asked.has_own_pod for asked in self.requests[instance])

    def _next_time(self) -> float:
        return min([event[0] for event in self._events[:1]] + list(self._due.values()), default=math.inf)

    def _at(self, time: float, event: Callable[[], Coroutine[Any, Any, None]]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), event))

    async def _advance(self, time: float) -> None:
        if time > self.now:
            self.world.clock.advance(time - self.now)
        for job in self.node.advance(self.now):
            await self._started(job)

    # Operator.

    def _reconcile_at(self, key: Key, time: float) -> None:
        self._due[key] = min(time, self._due.get(key, math.inf))

    async def _reconcile(self, key: Key) -> None:
        del self._due[key]
        result = await self.world.dispatcher(key)
        if result.requeue_after is not None:
            self._reconcile_at(key, self.now + result.requeue_after)
        for other in (*result.enqueue, *result.spread):
            self._reconcile_at(other, self.now + WATCH_SECONDS)
        jobs = set(self.world.cluster.names(JOBS))
        for job in jobs - self._jobs:
            self.node.left[job] = 1.0
        for job in self._jobs - jobs:
            self.node.left.pop(job, None)
        self._jobs = jobs

    # Node.

    async def _started(self, job: str) -> None:
        labels = self.world.cluster.object(JOBS, job, NAMESPACE)["metadata"]["labels"]
        instance = labels[names.LABEL_INSTANCE]
        if names.LABEL_WARM in labels:
            self._show(job, ready=1)
            replica = self._replicas[instance][next(self._pods) % len(self._replicas[instance])]
            replica.started_at = self.now
            replica.idle.append(job)
            self._serve(instance)
            self.largest_pool[instance] = max(self.largest_pool[instance], self.idle(instance))
        else:
            self._work(instance, labels[names.LABEL_RUN], job)

    def _show(self, job: str, **status: int) -> None:
        """Show the state of a pod in its Job's status, a second later."""

        async def show() -> None:
            if job in self.world.cluster.names(JOBS):
                found = self.world.cluster.object(JOBS, job, NAMESPACE)
                self.world.cluster.put({**found, "status": status})
                self._reconcile_at(Key("pool", NAMESPACE, found["metadata"]["labels"][names.LABEL_INSTANCE]), self.now)

        self._at(self.now + REPORT_SECONDS, show)

    def _work(self, instance: str, run: str, job: str) -> None:
        """Let a pod work on a run to its end."""
        asked = next(asked for asked in self.requests[instance] if asked.run == run)
        assert asked.waited is None, "no run has two pods"
        asked.waited = self.now - asked.came
        asked.has_own_pod = names.idle_job_generation(job) is None

        async def end() -> None:
            self.world.answer(run)
            self._show(job, succeeded=1)
            self._reconcile_at(Key("run", NAMESPACE, run), self.now + WATCH_SECONDS)

        async def prune() -> None:
            self.world.cluster.remove(RUNS, run, NAMESPACE)
            self._reconcile_at(Key("run", NAMESPACE, run), self.now)

        self._at(self.now + WORK_SECONDS, end)
        self._at(self.now + PRUNE_SECONDS, prune)

    # Web-proxies.

    async def _arrive(self, instance: str) -> None:
        number = next(self._numbers)
        run, replica = f"q{number}", self._replicas[instance][number % len(self._replicas[instance])]
        backlog = 1 + sum(asked.waited is None for every in self.requests.values() for asked in every)
        self.requests[instance].append(Request(run, self.now, backlog))
        annotations = {
            names.ANNOTATION_REPLY_TO: "http://10.0.0.1:8081",
            names.ANNOTATION_ACCEPTED_AT: micro_timestamp(self.world.clock.now()),
        }
        self._reconcile_at(Key("run", NAMESPACE, run), self.now + WATCH_SECONDS)
        if replica.idle:
            job = replica.idle.popleft()
            claim = {"jobName": job, "podName": f"{job}-abcde"}
            self.world.ask(run, agentRef=instance, annotations=annotations, claim=claim)
            self._work(instance, run, job)
            return
        elsewhere = len(self._replicas[instance]) > 1 and self.idle(instance) > 0
        if elsewhere or self.now - replica.started_at < EXPECTED_SECONDS:
            annotations[names.ANNOTATION_AWAITS_IDLE_POD] = "true"
        self.world.ask(run, agentRef=instance, annotations=annotations)
        if names.ANNOTATION_AWAITS_IDLE_POD in annotations:
            self._waiting[instance].add(AgentRun.model_validate(self.world.run(run)))
            self._serve(instance)

    def _serve(self, instance: str) -> None:
        """Bind idle pods to runs that wait, unless the operator has decided that they start cold."""
        for replica in self._replicas[instance]:
            while replica.idle and (waiting := self._waiting[instance].take(Counter())):
                run = self.world.run(waiting.metadata.name)
                if "start" in run.get("status", {}):
                    continue
                job = replica.idle.popleft()
                bound = {"start": "warm", "jobName": job, "podName": f"{job}-abcde", "startedAt": at(self.now)}
                self.world.cluster.put(run | {"status": bound})
                self._reconcile_at(Key("run", NAMESPACE, waiting.metadata.name), self.now + WATCH_SECONDS)
                self.order[instance].append(waiting.metadata.name)
                self._work(instance, waiting.metadata.name, job)
