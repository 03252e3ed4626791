"""Number of pods that may start at a time, learned from the time that starts take. Times are monotonic seconds."""

from sympozium_operator.scheduling.capacity import RunKey

HEADROOM = 2.0
"""Pods that may start beside those that the nodes were seen to start without slowing down."""
SMOOTHING = 3
"""Number of measurements after which the limit follows a change."""
FORGETTING = 1.01
"""Factor by which the shortest start grows per measurement, because nodes and images change."""
COLD_SECONDS = 30.0
"""Longest time for which a run's own pod counts as starting."""


class StartLimit:
    """Limit for the starts of idle pods, which leaves the nodes to the runs' own pods.

    Nodes that start pods one beside the other take the same time for each, however many start: then the limit rises. Nodes that are
    busy take longer for all of them: then the limit falls to what they start in the shortest time that was measured. The pods of
    runs that start cold count as well. One idle pod may always start, which shows what the nodes can do.
    """

    def __init__(self, first: float) -> None:
        """``first`` is the limit until a start has been measured."""
        self._limit = first
        self._shortest: float | None = None
        self._cold: dict[RunKey, float] = {}

    @property
    def value(self) -> float:
        """Number of pods that may start at a time."""
        return self._limit

    def begin_cold(self, run: RunKey, now: float) -> None:
        """Count the pod of a run that starts cold."""
        self._cold[run] = now

    def end_cold(self, run: RunKey) -> None:
        """Stop counting a run's pod, which works or is gone."""
        self._cold.pop(run, None)

    def cold(self, now: float) -> int:
        """Return the number of runs whose own pods start."""
        for run in [run for run, began in self._cold.items() if began < now - COLD_SECONDS]:
            del self._cold[run]
        return len(self._cold)

    def room(self, elsewhere: int, now: float) -> int:
        """Return how many idle pods of a pool may start at a time, while ``elsewhere`` ones of other pools do."""
        return max(int(self._limit) - self.cold(now) - elsewhere, 0 if elsewhere else 1)

    def measure(self, seconds: float, starting: int) -> None:
        """Record the seconds that an idle pod took to start, and the number of pods that started with it, itself included."""
        if seconds <= 0:
            return  # no pod starts in no time, and it would stay the shortest start for ever
        shortest = seconds if self._shortest is None else min(self._shortest * FORGETTING, seconds)
        self._shortest = shortest
        self._limit += (starting * shortest / seconds + HEADROOM - self._limit) / SMOOTHING
