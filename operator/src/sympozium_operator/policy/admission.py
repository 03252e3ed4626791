"""Which runs of an instance may have a Job now: first come, first served, at most ``maxConcurrentRuns``.

Held in the leader's memory only; the Jobs in the cluster are the record from which it is made again.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

Instance = tuple[str, str]
"""Namespace and name."""
Run = tuple[str, str, str]
"""Namespace, name and uid."""


@dataclass
class _Place:
    """A run's place: it waits, may make its Job, or has made it."""

    instance: Instance
    created: str
    arrival: int
    admitted: bool = False
    started: bool = False


class Admission:
    """The places of all runs that have not ended."""

    def __init__(self) -> None:
        self._places: dict[Run, _Place] = {}
        self._active: dict[Instance, set[Run]] = defaultdict(set)
        self._waiting: dict[Instance, dict[Run, _Place]] = defaultdict(dict)
        self._limits: dict[Instance, int] = {}
        """As each instance had it when one of its runs last asked."""
        self._unplaced: set[Run] = set()
        """Runs whose pods wait for room in the cluster: while there are any, nobody else is admitted."""
        self._arrivals = count()

    def note(self, run: Run, instance: Instance, created: str) -> None:
        """A run that has not ended is there; from its first note on it has its place in the line."""
        if run not in self._places:
            place = self._places[run] = _Place(instance, created, next(self._arrivals))
            self._waiting[instance][run] = place

    def admit(self, run: Run, limit: int) -> bool:
        """Whether a noted run may make its Job: it has been admitted, or its turn has come.

        Nobody's turn comes while a pod waits for room: more of them would only wait together, and the scheduler would take
        them in no order.
        """
        place = self._places[run]
        self._limits[place.instance] = limit
        if not place.admitted and run in self.next(place.instance):
            self._take(run, place)
        return place.admitted

    def unplaced(self, run: Run, *, waits: bool) -> None:
        """Whether the pod of a started run waits for room in the cluster."""
        if waits and run in self._places:
            self._unplaced.add(run)
        else:
            self._unplaced.discard(run)

    @property
    def full(self) -> bool:
        """Whether the cluster has no room for another pod."""
        return bool(self._unplaced)

    def turns(self) -> list[Run]:
        """Whose turn it is, of all instances."""
        return [run for instance in list(self._waiting) for run in self.next(instance)]

    def start(self, run: Run) -> None:
        """The noted run has its Job: it holds its place whatever the limit is now, and never gets a second one."""
        place = self._places[run]
        if not place.admitted:
            self._take(run, place)
        place.started = True

    def started(self, run: Run) -> bool:
        """Whether the run's Job is known to have been made."""
        return run in self._places and self._places[run].started

    def release(self, run: Run) -> bool:
        """The run has ended or is gone; whether it had a place."""
        place = self._places.pop(run, None)
        if place is None:
            return False
        self._unplaced.discard(run)
        self._active[place.instance].discard(run)
        self._waiting[place.instance].pop(run, None)
        for places in (self._active, self._waiting):
            if not places[place.instance]:
                del places[place.instance]
        return True

    def release_named(self, namespace: str, name: str) -> None:
        """There is no run of this name any more."""
        for run in [run for run in self._places if run[:2] == (namespace, name)]:
            self.release(run)

    def next(self, instance: Instance) -> list[Run]:
        """Whose turn it is: the first ones in the line, as many as places are free."""
        if self._unplaced:
            return []
        free = self._limits.get(instance, 1) - len(self._active.get(instance, ()))
        waiting = self._waiting.get(instance, {})
        order = sorted(waiting, key=lambda run: (waiting[run].created, waiting[run].arrival))
        return order[: max(free, 0)]

    def arrivals(self) -> int:
        """A mark in time: runs noted from now on have an arrival of at least this."""
        return next(self._arrivals)

    def keep_only(self, there: Iterable[Run], before: int) -> None:
        """Forget runs that arrived before a mark and are not there any more."""
        there = set(there)
        gone = [run for run, place in self._places.items() if place.arrival < before and run not in there]
        for run in gone:
            self.release(run)

    def counts(self) -> tuple[int, int]:
        """How many runs have a place, and how many wait for one."""
        return sum(map(len, self._active.values())), sum(map(len, self._waiting.values()))

    def _take(self, run: Run, place: _Place) -> None:
        place.admitted = True
        del self._waiting[place.instance][run]
        self._active[place.instance].add(run)
