"""The runs of an instance that have not ended, by API key, and whether another one may come: bounded, and fair among keys. No I/O."""

from collections.abc import Callable, Iterator
from itertools import chain


class QueueFull(Exception):
    """There is no place for another run of this key."""


class RunQueue:
    """The places of one instance: ``maxConcurrentRuns`` and ``maxQueuedRuns`` together (rule 9).

    Where several keys share them, a key that already holds as many as are free gets no more. So whatever one key asks for, it
    leaves places to the others, and nobody has to know who the others are or how many (decision 0026).
    """

    def __init__(self, *, shared: Callable[[], bool] = lambda: False) -> None:
        self._shared = shared
        self._open: dict[str, str] = {}
        """The key of each run that is known to be in the cluster."""
        self._coming: dict[str, str] = {}
        """The key of each run that this process makes, and has not yet seen there."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def held(self) -> int:
        """Places that are taken: by runs in the cluster, and by those that this process makes."""
        return len(self._open) + len(self._coming)

    def __contains__(self, run: str) -> bool:
        return run in self._open

    def __iter__(self) -> Iterator[str]:
        return iter(self._open)

    def add(self, run: str, key_id: str) -> None:
        """A run is in the cluster, and has not ended."""
        self._coming.pop(run, None)
        self._open[run] = key_id

    def remove(self, run: str) -> None:
        """A run has ended, or is gone."""
        self._open.pop(run, None)

    def enter(self, run: str, key_id: str, places: int) -> None:
        """Take one of so many places for a run that is about to be made. Raises QueueFull; a run that has its place needs no other."""
        if run in self._open or run in self._coming:
            return
        if self._is_full(key_id, places):
            raise QueueFull
        self._coming[run] = key_id

    def leave(self, run: str) -> None:
        """Give up a place that was taken, unless the run has been seen in the cluster since: then it is held until it ends."""
        self._coming.pop(run, None)

    def _is_full(self, key_id: str, places: int) -> bool:
        free = places - self.held
        if free <= 0 or self.held < free or not self._shared():
            return free <= 0
        return sum(holder == key_id for holder in chain(self._open.values(), self._coming.values())) >= free
