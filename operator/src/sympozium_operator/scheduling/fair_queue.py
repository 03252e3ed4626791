"""Queue of the runs of each instance: at most ``maxConcurrentRuns`` have a Job, fair among API keys, first come, first served.

Next is the run of the key with the fewest runs before it, active or queued; of those the oldest one. So a key that sends a hundred
times more requests than the others makes only its own runs wait.

The queue lives in the leader's memory only. The Jobs in the cluster are the record from which the next leader rebuilds it.
"""

import bisect
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple

from sympozium_operator.policy.run_input import RunSlot
from sympozium_operator.scheduling.capacity import Capacity, InstanceKey, RunKey

SHOW_AFTER = 2.0
"""Seconds that a run waits before its position is written: most runs wait less, and cost no write."""
SHOW_EVERY = 15.0
"""Least seconds between two writes of a run's position."""
REFUSALS_APART = 30.0
"""Seconds after which a refusal of a run's Job has nothing to do with the one before: the run waited for other reasons."""
QUOTA_PATIENCE = 75.0
"""Seconds after another run has left in which a quota may still refuse a run: the Job controller tries again after at most a minute."""


class _Ticket(NamedTuple):
    """Order among the runs of one key."""

    created: str
    arrival: int
    run: RunKey


@dataclass
class _Slot:
    """State of one run: queued, admitted, or with a Job."""

    instance: InstanceKey
    key_id: str
    ticket: _Ticket
    admitted: bool = False
    job: str | None = None
    """The run's Job, once the operator knows that it was made."""
    offered: bool = False
    refused_at: float | None = None
    """Time at which the API server first refused the run's Job, of refusals that followed each other."""
    refused_last: float = float("-inf")
    quota_used_at: float = float("-inf")
    """Time at which another run was last seen to use a quota that refuses this one."""
    reported: bool = False
    """The reason why the run waits was reported."""
    shown_at: float = float("-inf")


class FairQueue:
    """Slots of all runs that have not ended."""

    def __init__(self, capacity: Capacity | None = None) -> None:
        self.capacity = capacity or Capacity()
        """Room for further pods, beyond which no run is admitted."""
        self._slots: dict[RunKey, _Slot] = {}
        self._named: dict[tuple[str, str], set[RunKey]] = defaultdict(set)
        """Runs with a slot by namespace and name; no set is empty."""
        self._active: dict[InstanceKey, set[RunKey]] = defaultdict(set)
        self._queues: dict[InstanceKey, dict[str, list[_Ticket]]] = defaultdict(dict)
        """Queued runs of each instance, one list per key; no list is empty."""
        self._limits: dict[InstanceKey, int] = {}
        """``maxConcurrentRuns`` of each instance, as one of its runs last saw it."""
        self._arrivals = count()

    def enqueue(self, run: RunKey, instance: InstanceKey, created: str, *, key_id: str = "") -> bool:
        """Add a run that has not ended to the queue of its key; return whether the run is new."""
        is_new = run not in self._slots
        if is_new:
            ticket = _Ticket(created, next(self._arrivals), run)
            self._slots[run] = _Slot(instance, key_id, ticket)
            self._named[run[:2]].add(run)
            bisect.insort(self._queues[instance].setdefault(key_id, []), ticket)
        return is_new

    def slot(self, run: RunKey, *, job: str, limit: int, waited: float, now: float) -> RunSlot:
        """Return what a decision may know of a run, without changing anything.

        ``job`` is the name that the run's Job has or would have, ``limit`` its instance's ``maxConcurrentRuns``, ``waited`` the
        seconds since its creation.
        """
        slot = self._slots.get(run)
        if slot is None:
            return RunSlot()
        every = self._show_every(slot.instance)
        due = not slot.admitted and waited >= SHOW_AFTER and now - slot.shown_at >= every
        return RunSlot(
            admitted=slot.admitted or run in self._next(slot.instance, limit),
            position=self.position(run) if due else None,
            requeue_after=every if waited >= SHOW_AFTER else SHOW_AFTER - waited,
            offered=slot.offered,
            job_known=slot.job == job,
        )

    def set_limit(self, instance: InstanceKey, limit: int) -> None:
        """Remember an instance's ``maxConcurrentRuns``."""
        self._limits[instance] = limit

    def forget_instance(self, instance: InstanceKey) -> None:
        """Forget what is known of an instance that does not exist any more."""
        self._limits.pop(instance, None)
        self.capacity.forget_instance(instance)

    def admit(self, run: RunKey) -> None:
        """Let a run occupy one of its instance's places: its turn has come."""
        slot = self._slots[run]
        if not slot.admitted:
            slot.admitted = True
            self._dequeue(slot)
            self._active[slot.instance].add(run)

    def bind_job(self, run: RunKey, job: str) -> None:
        """Record a run's Job: the run keeps its place whatever the limit is, and never gets a second Job."""
        slot = self._slots.get(run)
        if slot is not None and slot.job != job:
            self.admit(run)
            slot.job, slot.refused_at = job, None
            self.capacity.started(run, slot.instance)

    def refuse_job(self, run: RunKey, now: float) -> float:
        """Put a run whose Job was refused back into the queue; return the seconds since the first one of these refusals."""
        slot = self._slots.get(run)
        if slot is None:
            return 0.0
        if slot.admitted:
            slot.admitted = False
            self._deactivate(slot)
            bisect.insort(self._queues[slot.instance].setdefault(slot.key_id, []), slot.ticket)
        if slot.refused_at is None or now - slot.refused_last > REFUSALS_APART:
            slot.refused_at = now
        slot.refused_last = now
        return now - slot.refused_at

    def quota_may_free(self, run: RunKey, now: float) -> bool:
        """Return whether a quota may have room for a run later: another run of its namespace has a Job within it, or just had."""
        slot, refused = self._slots.get(run), self.capacity.refused_by_quota(run[0]) | {run}
        if slot is None:
            return False
        if any(other[0] == run[0] and o.job and other not in refused for other, o in self._slots.items()):
            slot.quota_used_at = now
        return now - slot.quota_used_at < QUOTA_PATIENCE

    def mark_reported(self, run: RunKey) -> bool:
        """Record that the reason why a run waits is reported; return whether this is the first time."""
        slot = self._slots.get(run)
        first = slot is not None and not slot.reported
        if slot is not None:
            slot.reported = True
        return first

    def mark_offered(self, run: RunKey) -> None:
        """Record that idle pods had the time to claim the run."""
        self._slots[run].offered = True

    def mark_shown(self, run: RunKey, now: float) -> None:
        """Record that the run's position was written, or had not changed."""
        self._slots[run].shown_at = now

    def inspected(self, run: RunKey, placement: str, *, waits: bool, made_at: str | None = "") -> None:
        """Record what the scheduler did with the pod of a run: the pod waits for a node, or has one.

        ``made_at`` is the creation time of the pod's Job; None: the Job was made from another template than the next one.
        """
        if slot := self._slots.get(run):
            (self.capacity.waits if waits else self.capacity.placed)(run, slot.instance, placement, made_at)

    @property
    def cluster_full(self) -> bool:
        """True while a pod waits for a node or for its namespace's quota."""
        return self.capacity.short

    def exceeds_quota(self, run: RunKey) -> None:
        """Record that a quota of its namespace refuses the Job or the pod of a run."""
        if slot := self._slots.get(run):
            slot.refused_at = None
            self.capacity.exceeds_quota(run)

    def release(self, run: RunKey) -> bool:
        """Remove a run that has ended or is gone; return whether it had a slot."""
        slot = self._slots.pop(run, None)
        if slot is None:
            return False
        self._named[run[:2]].discard(run)
        if not self._named[run[:2]]:
            del self._named[run[:2]]
        self.capacity.forget(run)
        if slot.admitted:
            self._deactivate(slot)
        else:
            self._dequeue(slot)
        instance = slot.instance
        if not (instance in self._limits or instance in self._active or instance in self._queues):
            self.capacity.forget_instance(instance)  # the instance was gone before its last run
        return True

    def release_named(self, namespace: str, name: str) -> bool:
        """Remove every run of this name, because none exists; return whether one had a slot."""
        runs = list(self._named.get((namespace, name), ()))
        for run in runs:
            self.release(run)
        return bool(runs)

    def next(self, instance: InstanceKey) -> list[RunKey]:
        """Return the first queued runs of an instance, as many as it has places free."""
        return self._next(instance, self._limits.get(instance, 1))

    def next_of_all(self) -> list[RunKey]:
        """Return ``next`` of every instance."""
        return [run for instance in list(self._queues) for run in self.next(instance)]

    def position(self, run: RunKey) -> int:
        """Return a queued run's place in the queue of its instance, the first one being 1."""
        return next(at for at, queued in enumerate(self._order(self._slots[run].instance), 1) if queued == run)

    def mark(self) -> int:
        """Return a mark in time: runs enqueued after this call have a greater arrival."""
        return next(self._arrivals)

    def retain(self, existing: Iterable[RunKey], before: int) -> None:
        """Remove runs that were enqueued before a mark and do not exist any more."""
        existing = set(existing)
        gone = [run for run, slot in self._slots.items() if slot.ticket.arrival < before and run not in existing]
        for run in gone:
            self.release(run)

    def counts(self) -> tuple[int, int]:
        """Return the numbers of admitted and of queued runs."""
        queued = sum(len(queue) for queues in self._queues.values() for queue in queues.values())
        return sum(map(len, self._active.values())), queued

    def _show_every(self, instance: InstanceKey) -> float:
        """Return the seconds between two writes of a position: at most ten writes a second in all, however long the queue is."""
        queues = self._queues.get(instance, {})
        return max(SHOW_EVERY, sum(map(len, queues.values())) / 10)

    def _next(self, instance: InstanceKey, limit: int) -> list[RunKey]:
        active = self._active.get(instance, ())
        holding = sum(1 for run in active if not self.capacity.waits_elsewhere(run, instance))
        free = min(limit - holding, self.capacity.room(instance))
        refused = self.capacity.refused_by_quota(instance[0])
        order = (run for run in self._order(instance) if not refused or run in refused)
        return list(islice(order, max(free, 0)))

    def _order(self, instance: InstanceKey) -> Iterator[RunKey]:
        queues = self._queues.get(instance, {})
        before = Counter(self._slots[run].key_id for run in self._active.get(instance, ()))
        heads = [(before[key_id], queue[0], key_id, 0) for key_id, queue in queues.items()]
        heapq.heapify(heads)
        while heads:
            rank, ticket, key_id, at = heads[0]
            yield ticket.run
            if at + 1 < len(queues[key_id]):
                heapq.heapreplace(heads, (rank + 1, queues[key_id][at + 1], key_id, at + 1))
            else:
                heapq.heappop(heads)

    def _deactivate(self, slot: _Slot) -> None:
        self._active[slot.instance].discard(slot.ticket.run)
        if not self._active[slot.instance]:
            del self._active[slot.instance]

    def _dequeue(self, slot: _Slot) -> None:
        queues = self._queues[slot.instance]
        queue = queues[slot.key_id]
        del queue[bisect.bisect_left(queue, slot.ticket)]
        if not queue:
            del queues[slot.key_id]
        if not queues:
            del self._queues[slot.instance]
