"""The open runs of instances by API key, and whether one takes another run: bounded, and fair among keys. No I/O."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from weakref import WeakValueDictionary

Key = tuple[str, str]
"""Namespace and name of a run."""
InstanceKey = tuple[str, str]
"""Namespace and name of an instance."""


class QueueFull(Exception):
    """The instance has no slot for another run of this key."""


class RunQueue:
    """The slots of one instance: ``maxConcurrentRuns`` and ``maxQueuedRuns`` together (rule 9).

    Where several keys share the slots, a key that already uses as many as are free gets no more. So no key can take all
    slots, whatever it asks for, and nobody needs to know how many other keys there are (decision 0026).
    """

    def __init__(self, *, shared: Callable[[], bool] = lambda: False) -> None:
        self._shared = shared
        self._open: dict[str, str] = {}
        """The key of each run that is known to be in the cluster, by the run's name."""
        self._reserved: dict[str, str] = {}
        """The key of each run that this process creates and has not yet seen in the cluster."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def used(self) -> int:
        """Slots used by runs in the cluster and by those that this process creates."""
        return len(self._open) + len(self._reserved)

    def open_by_key(self) -> Counter[str]:
        """Return the number of runs in the cluster of each key."""
        return Counter(self._open.values())

    def add(self, run: str, key_id: str) -> None:
        """Add a run that is in the cluster and has not ended."""
        self._reserved.pop(run, None)
        self._open[run] = key_id

    def remove(self, run: str) -> None:
        """Remove a run that has ended or is gone."""
        self._open.pop(run, None)

    def reserve(self, run: str, key_id: str, slots: int) -> None:
        """Reserve one of ``slots`` for a run that is about to be created. Raises QueueFull unless the run has its slot already.

        With no slots at all nothing is created: not even a run that was in the cluster a moment ago, and may be gone by now.
        """
        if run in self._reserved or (slots and run in self._open):
            return
        if self._is_full(key_id, slots):
            raise QueueFull
        self._reserved[run] = key_id

    def release(self, run: str) -> None:
        """Release a reserved slot. A run that has been seen in the cluster since then keeps its slot until it ends."""
        self._reserved.pop(run, None)

    def _is_full(self, key_id: str, slots: int) -> bool:
        free = slots - self.used
        if free <= 0 or self.used < free or not self._shared():
            return free <= 0
        return sum(holder == key_id for holder in chain(self._open.values(), self._reserved.values())) >= free


class RunQueues:
    """The queues of all instances whose runs a process creates and follows.

    A queue is kept as long as one of its runs is open, or a request that creates one refers to the queue.
    """

    def __init__(self, *, shared: Callable[[InstanceKey], bool] = lambda _: False) -> None:
        """``shared`` tells whether several keys share the slots of an instance."""
        self._shared = shared
        self._queues: WeakValueDictionary[InstanceKey, RunQueue] = WeakValueDictionary()
        self._open: dict[Key, RunQueue] = {}
        """The queue of each run that is known to be in the cluster."""

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, run: Key) -> bool:
        return run in self._open

    def __iter__(self) -> Iterator[Key]:
        return iter(self._open)

    def of(self, instance: InstanceKey) -> RunQueue:
        """Return the queue of an instance."""
        queue = self._queues.get(instance)
        if queue is None:
            queue = self._queues[instance] = RunQueue(shared=partial(self._shared, instance))
        return queue

    def add(self, run: Key, instance: InstanceKey, key_id: str) -> None:
        """Add a run that is in the cluster and has not ended to its instance's queue."""
        queue = self._open[run] = self.of(instance)
        queue.add(run[1], key_id)

    def remove(self, run: Key) -> None:
        """Remove a run that has ended or is gone."""
        queue = self._open.pop(run, None)
        if queue is not None:
            queue.remove(run[1])
