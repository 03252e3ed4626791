"""Size of each warm pool, and the rate at which pods are made for all of them. Times are handed in as monotonic seconds."""

import math
from collections import deque

from sympozium_api.instance import WarmPool

WINDOW = 30.0
"""Seconds over which arrivals are counted."""
HOLD_SECONDS = 60.0
"""Seconds for which a pool keeps the size that it last needed."""
FIRST_REFILL = 2.0
"""Estimated seconds of a refill until one has been measured."""
PAUSE = 3.0
"""Seconds without an arrival after which the next arrivals count as a burst."""
HEAD_START = 1.5
"""Seconds without refills at the start of a burst, because starting a pod costs a node more than a run in an idle pod does."""
LONGEST_BACKOFF = 60.0
RECONCILE_INTERVAL = 0.5
"""Least seconds between two reconciles of a pool: each lists all of the pool's Jobs, and every change of a Job asks for one."""


class PoolSizer:
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
            self._held, self._held_until = needed, now + HOLD_SECONDS
        return min(self._held, most)


class LaunchRate:
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
        self._next = (
            max(self._next, now - RECONCILE_INTERVAL) + self._gap
        )  # what was not made since the last look is made now
        return 0
