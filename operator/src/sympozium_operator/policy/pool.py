"""How many idle pods an instance's warm pool should have, and which of its Jobs are of no more use. Pure; time is handed in."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sympozium_api import names
from sympozium_api.clock import parsed
from sympozium_api.instance import WarmPool
from sympozium_api.resources import Object
from sympozium_operator.policy.pods import job_ended

WINDOW = 30.0
"""Seconds over which arrivals are counted."""
CALM = 60.0
"""Seconds for which a pool keeps the size that it last needed."""
FIRST_REFILL = 2.0
"""Seconds that a refill is believed to take until one was seen."""
PAUSE = 3.0
HEAD_START = 1.5
"""Seconds that a burst has for itself: starting a pod takes more of a node than a run in an idle one."""
LONGEST_BACKOFF = 60.0
LOOK_EVERY = 0.5
"""Seconds between two looks at a pool: every change of every Job of it asks for one, and each lists all of them."""
UNSTARTED_PATIENCE = 10.0
"""Seconds after which a Job whose pod is not ready is looked at."""


@dataclass(frozen=True)
class Plan:
    """What to do for a pool."""

    missing: int
    """Jobs to make."""
    idle: int
    """Pods that wait for a run."""
    ended: tuple[Object, ...]
    """Jobs that ended; to be deleted unless a run claims them."""
    unstarted: tuple[Object, ...]
    """Jobs whose pod is not ready for long."""


def decide(
    jobs: Iterable[Object], *, claimed: Iterable[str], generation: str, target: int, starting: int, now: datetime
) -> Plan:
    """The plan for the idle Jobs of an instance. ``claimed``: names of those that open runs are known to claim; ``starting``: how
    many pods may start at a time, so that a node that is slow to start them gets fewer.
    """
    claimed = set(claimed)
    own = [job for job in jobs if job["metadata"]["name"] not in claimed]
    live = [job for job in own if not job_ended(job) and not job["metadata"].get("deletionTimestamp")]
    current = [job for job in live if f"-warm-{generation}-" in job["metadata"]["name"]]
    ready = sum(map(is_ready, current))
    unstarted = [job for job in live if not is_ready(job) and _age(job, now) >= UNSTARTED_PATIENCE]
    return Plan(
        missing=max(0, min(target - len(current), starting - (len(current) - ready))),
        idle=ready,
        ended=tuple(job for job in own if job_ended(job)),
        unstarted=tuple(unstarted),
    )


def is_ready(job: Object) -> bool:
    """Whether the Job's pod runs."""
    return bool((job.get("status") or {}).get("ready"))


def has_failed(job: Object) -> bool:
    """Whether the Job's pod ended otherwise than by itself."""
    return bool((job.get("status") or {}).get("failed"))


def _age(job: Object, now: datetime) -> float:
    return (now - parsed(job["metadata"]["creationTimestamp"])).total_seconds()


class Demand:
    """How fast an instance's pool is used up, and how fast it is filled. Times are seconds on a clock that never goes back."""

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque()
        self._refill = FIRST_REFILL
        self._held = 0
        self._held_until = float("-inf")
        self._failures = 0
        self.not_before = float("-inf")
        """When pods may be made again, after some that failed or found no room."""

    def arrived(self, now: float) -> None:
        """A run of the instance has come; the first ones after a pause are served before anything is made in their pods' place."""
        if not self._arrivals or self._arrivals[-1] < now - PAUSE:
            self.not_before = max(self.not_before, now + HEAD_START)
        self._arrivals.append(now)

    def refilled(self, seconds: float) -> None:
        """A pod has become ready that long after its Job was made."""
        self._refill += (seconds - self._refill) / 5
        self._failures = 0

    def failed(self, now: float) -> None:
        """A pod failed before it had anything to do, or found no room: the next ones are made later, and later each time."""
        self._failures += 1
        self.not_before = now + min(2.0**self._failures, LONGEST_BACKOFF)

    def target(self, pool: WarmPool, now: float) -> int:
        """``size``, and as many as are used up while one is made, up to ``max``; it falls when it was lower for a minute."""
        while self._arrivals and self._arrivals[0] < now - WINDOW:
            self._arrivals.popleft()
        most = max(pool.size, pool.max or pool.size)
        needed = min(most, pool.size + math.ceil(len(self._arrivals) / WINDOW * self._refill))
        if needed >= self._held or now >= self._held_until:
            self._held, self._held_until = needed, now + CALM
        return min(self._held, most)


class Pace:
    """So many pods a second are made for pools, of all instances; starts of runs go first and count as well."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._next = float("-inf")

    @property
    def starting(self) -> int:
        """How many pods of a pool may start at a time: as many as are made in the two seconds after which Kubernetes says that one is
        ready.
        """
        return math.ceil(2 / self._gap)

    def started_cold(self, now: float) -> None:
        """A pod was made for a run. However many there are, a pool is made to wait for two seconds at most."""
        self._next = min(max(self._next, now) + self._gap, now + 2)

    def take(self, now: float) -> float:
        """0: make one now; else the seconds until one may be made."""
        if self._next > now:
            return self._next - now
        self._next = max(self._next, now - LOOK_EVERY) + self._gap  # what was not made since the last look is made now
        return 0


def idle_selector(instance: str) -> str:
    """The label selector of the Jobs of an instance's pool that no run owns."""
    return f"{names.LABEL_INSTANCE}={instance},{names.LABEL_WARM}={names.IDLE}"
