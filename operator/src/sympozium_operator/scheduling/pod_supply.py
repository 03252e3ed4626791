"""Idle pods of one pool that start, and the runs that wait for them. Mutable, without I/O. Times are monotonic seconds."""

from collections.abc import Iterable, Mapping

STUCK_SECONDS = 10.0
"""Least age at which a pod that still starts is not waited for any more; the pool inspects such pods."""
STUCK_FACTOR = 3
"""Multiple of a start's usual duration after which a pod is not waited for any more."""


def stuck_after(usual: float) -> float:
    """Return the seconds after which a pod that still starts is stuck, where a start usually takes ``usual`` seconds."""
    return max(STUCK_SECONDS, STUCK_FACTOR * usual)


class PodSupply:
    """Idle pods of a pool that no run has claimed, and the runs that were told to wait for one.

    A pod that starts already is idle sooner than one that is created now, by its age. So the n-th run that waits takes the n-th oldest
    starting pod, and a run for which there is none starts cold.
    """

    def __init__(self) -> None:
        self._starting: dict[str, float] = {}
        """Times at which Jobs were made whose pods are not known to be idle, by name."""
        self._ready: set[str] = set()
        self._waiting: dict[str, tuple[str, str]] = {}
        """Order of the runs that wait, by name."""

    @property
    def waiting(self) -> int:
        """Number of runs that wait for a pod."""
        return len(self._waiting)

    def make(self, job: str, now: float) -> None:
        """Record that a Job of the pool was made."""
        self._starting[job] = now

    def update(self, starting: Mapping[str, float], ready: Iterable[str], now: float) -> None:
        """Take over the unclaimed Jobs of the pool as the cluster has them; ``starting`` has their ages in seconds."""
        self._starting = {job: self._starting.get(job, now - age) for job, age in starting.items()}
        self._ready = set(ready)

    def claim(self, job: str) -> None:
        """Record that a run has claimed the pod of a Job."""
        self._starting.pop(job, None)
        self._ready.discard(job)

    def wait(self, run: str, order: tuple[str, str]) -> bool:
        """Let a run wait for a pod; return whether it did not wait before."""
        is_new = run not in self._waiting
        self._waiting[run] = order
        return is_new

    def stop_waiting(self, run: str) -> None:
        """Forget a run that has its pod, starts cold, or has ended."""
        self._waiting.pop(run, None)

    def expected_in(self, order: tuple[str, str], now: float, *, usual: float, with_ready: bool) -> float | None:
        """Return the seconds until a pod is expected for a run of this order among those that wait; None: a cold start is sooner.

        ``usual``: seconds that a start took lately. ``with_ready``: pods that wait already count as well, at other replicas than the
        run's own.
        """
        stuck = stuck_after(usual)
        ages = sorted((now - made for made in self._starting.values() if now - made < stuck), reverse=True)
        supply = [0.0] * (len(self._ready) if with_ready else 0) + [max(0.0, usual - age) for age in ages]
        rank = sum(other < order for other in self._waiting.values())
        return supply[rank] if rank < len(supply) else None
