"""Which runs of an instance may have a Job now: at most ``maxConcurrentRuns``, fair among API keys, first come, first served.

Whose turn it is: the run of the key that has the fewest runs before it, going on or waiting; of those the oldest one. So a
key that asks for a hundred times more than the others makes only its own runs wait.

Held in the leader's memory only; the Jobs in the cluster are the record from which it is made again.
"""

import bisect
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple

SHOW_AFTER = 2.0
"""Seconds that a run waits before its position is written: most wait less, and cost no write."""
SHOW_EVERY = 15.0

Instance = tuple[str, str]
"""Namespace and name."""
Run = tuple[str, str, str]
"""Namespace, name and uid."""


class _Ticket(NamedTuple):
    """What orders the runs of one key."""

    created: str
    arrival: int
    run: Run


@dataclass
class _Place:
    """A run's place: it waits, may make its Job, or has made it."""

    instance: Instance
    key_id: str
    ticket: _Ticket
    admitted: bool = False
    job: str | None = None
    """The run's Job, once it is known to have been made."""
    offered: bool = False
    shown_at: float = float("-inf")


class Admission:
    """The places of all runs that have not ended."""

    def __init__(self) -> None:
        self._places: dict[Run, _Place] = {}
        self._active: dict[Instance, set[Run]] = defaultdict(set)
        self._waiting: dict[Instance, dict[str, list[_Ticket]]] = defaultdict(dict)
        """The lines of each instance, one per key; no line is empty."""
        self._limits: dict[Instance, int] = {}
        """As each instance had it when one of its runs last asked."""
        self._unplaced: set[Run] = set()
        """Runs whose pods wait for room in the cluster: while there are any, nobody else is admitted."""
        self._arrivals = count()

    def note(self, run: Run, instance: Instance, created: str, *, key_id: str = "") -> bool:
        """A run that has not ended is there; from its first note on it has its place in the line of its key. Whether it is new."""
        is_new = run not in self._places
        if is_new:
            ticket = _Ticket(created, next(self._arrivals), run)
            self._places[run] = _Place(instance, key_id, ticket)
            bisect.insort(self._waiting[instance].setdefault(key_id, []), ticket)
        return is_new

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

    def start(self, run: Run, job: str) -> None:
        """The noted run has this Job: it holds its place whatever the limit is now, and never gets a second one."""
        place = self._places[run]
        if not place.admitted:
            self._take(run, place)
        place.job = job

    def started(self, run: Run, job: str) -> bool:
        """Whether this Job of the run is known to have been made."""
        return run in self._places and self._places[run].job == job

    def offer(self, run: Run) -> None:
        """Idle pods have had the time to take the run."""
        self._places[run].offered = True

    def offered(self, run: Run) -> bool:
        """Whether they have."""
        return run in self._places and self._places[run].offered

    def release(self, run: Run) -> bool:
        """The run has ended or is gone; whether it had a place."""
        place = self._places.pop(run, None)
        if place is None:
            return False
        self._unplaced.discard(run)
        if not place.admitted:
            self._leave_line(place)
            return True
        self._active[place.instance].discard(run)
        if not self._active[place.instance]:
            del self._active[place.instance]
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
        return list(islice(self._order(instance), max(free, 0)))

    def position(self, run: Run) -> int:
        """A waiting run's place in the line of its instance, the first one being 1."""
        return next(at for at, waiting in enumerate(self._order(self._places[run].instance), 1) if waiting == run)

    def show_every(self, run: Run) -> float:
        """Seconds between looks at a waiting run's position: at most ten a second in all, however long the line is."""
        lines = self._waiting[self._places[run].instance]
        return max(SHOW_EVERY, sum(map(len, lines.values())) / 10)

    def is_to_be_shown(self, run: Run, now: float) -> bool:
        """Whether a waiting run's position is to be written now, whatever else woke it."""
        place = self._places[run]
        due = now - place.shown_at >= self.show_every(run)
        if due:
            place.shown_at = now
        return due

    def _order(self, instance: Instance) -> Iterator[Run]:
        lines = self._waiting.get(instance, {})
        before = Counter(self._places[run].key_id for run in self._active.get(instance, ()))
        heads = [(before[key_id], line[0], key_id, 0) for key_id, line in lines.items()]
        heapq.heapify(heads)
        while heads:
            rank, ticket, key_id, at = heads[0]
            yield ticket.run
            if at + 1 < len(lines[key_id]):
                heapq.heapreplace(heads, (rank + 1, lines[key_id][at + 1], key_id, at + 1))
            else:
                heapq.heappop(heads)

    def arrivals(self) -> int:
        """A mark in time: runs noted from now on have an arrival of at least this."""
        return next(self._arrivals)

    def keep_only(self, there: Iterable[Run], before: int) -> None:
        """Forget runs that arrived before a mark and are not there any more."""
        there = set(there)
        gone = [run for run, place in self._places.items() if place.ticket.arrival < before and run not in there]
        for run in gone:
            self.release(run)

    def counts(self) -> tuple[int, int]:
        """How many runs have a place, and how many wait for one."""
        return sum(map(len, self._active.values())), sum(
            len(line) for lines in self._waiting.values() for line in lines.values()
        )

    def _take(self, run: Run, place: _Place) -> None:
        place.admitted = True
        self._leave_line(place)
        self._active[place.instance].add(run)

    def _leave_line(self, place: _Place) -> None:
        lines = self._waiting[place.instance]
        line = lines[place.key_id]
        del line[bisect.bisect_left(line, place.ticket)]
        if not line:
            del lines[place.key_id]
        if not lines:
            del self._waiting[place.instance]
