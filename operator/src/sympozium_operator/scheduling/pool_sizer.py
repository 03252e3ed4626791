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
    """Consumption and refill rate of one pool. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque()
        self._refill = FIRST_REFILL
        self._held = 0
        self._held_until = float("-inf")
        self._failures = 0
        self.not_before = float("-inf")
        """Time from which pods may be made again, after some failed or found no room."""

    def arrived(self, now: float) -> None:
        """Record a run of the instance. After a pause the first runs are served before pods are made again."""
        if not self._arrivals or self._arrivals[-1] < now - PAUSE:
            self.not_before = max(self.not_before, now + HEAD_START)
        self._arrivals.append(now)
        self._forget_before(now - WINDOW)

    @property
    def arrivals(self) -> int:
        """Number of arrivals that are remembered."""
        return len(self._arrivals)

    @property
    def usual(self) -> float:
        """Seconds that a refill took lately."""
        return self._refill

    def refilled(self, seconds: float) -> None:
        """Record the seconds from a Job's creation until its pod was ready."""
        self._refill += (seconds - self._refill) / 5
        self._failures = 0

    def failed(self, now: float) -> None:
        """Record a pod that failed before it had a task, or found no room: each failure delays the next pods longer."""
        self._failures += 1
        self.not_before = now + min(2.0**self._failures, LONGEST_BACKOFF)

    def target(self, pool: WarmPool, now: float) -> int:
        """Return ``size`` plus as many as are used up during a refill, at most ``max``; it falls after it was lower for a minute."""
        self._forget_before(now - WINDOW)
        most = max(pool.size, pool.max or pool.size)
        needed = min(most, pool.size + math.ceil(len(self._arrivals) / WINDOW * self._refill))
        if needed >= self._held or now >= self._held_until:
            self._held, self._held_until = needed, now + HOLD_SECONDS
        return min(self._held, most)

    def _forget_before(self, time: float) -> None:
        while self._arrivals and self._arrivals[0] < time:
            self._arrivals.popleft()


class LaunchRate:
    """Rate at which pods are made for all pools together; starts of runs go first and count as well."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._next = float("-inf")

    def started_cold(self, now: float) -> None:
        """Count a pod that was made for a run. However many there are, a pool waits for two seconds at most."""
        self._next = min(max(self._next, now) + self._gap, now + 2)

    def take(self, now: float) -> float:
        """Return 0 to make a pod now, else the seconds until one may be made."""
        if self._next > now:
            return self._next - now
        self._next = (
            max(self._next, now - RECONCILE_INTERVAL) + self._gap
        )  # catch up on what was not made since the last reconcile
        return 0
