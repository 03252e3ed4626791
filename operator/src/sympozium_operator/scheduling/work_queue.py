"""Work queue of keys to reconcile, and when. It never holds the objects themselves.

Runs are urgent, because a caller waits for each. All else is background and has workers of its own: a few, so that thousands of
instances delay no run, and never none, so that thousands of runs hold up no instance.

A key is in the queue once however often it is added (coalescing), one worker at a time reconciles it, and after an exception it
comes back with growing, jittered delay. ``Schedule`` decides this without I/O; ``WorkQueue`` runs it on an event loop.
"""

import asyncio
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from sympozium_api.client.api_errors import ApiError, ApiUnavailable
from sympozium_operator.result import Key, Result, RetryLater

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 60.0
SPREAD_PER_SECOND = 100
"""Keys per second of those that one change concerns, because each takes some milliseconds of this process and of the API server."""
LONGEST_WORK = 60.0
"""Most seconds of one reconcile: a handful of calls, each of a few milliseconds."""

log = structlog.get_logger()


@dataclass
class Schedule:
    """Order and times of keys. Times are monotonic seconds."""

    jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.5)
    ready: dict[Key, None] = field(default_factory=dict)
    """Urgent keys to reconcile now, in order of arrival."""
    background: dict[Key, None] = field(default_factory=dict)
    """Other keys to reconcile now, in order of arrival."""
    shared: dict[Key, None] = field(default_factory=dict)
    """Those of the others that many instances wait for, in order of arrival. They take turns with the rest, whose order they skip."""
    running: set[Key] = field(default_factory=set)
    again: set[Key] = field(default_factory=set)
    """Keys that were added while they were running."""
    due: dict[Key, float] = field(default_factory=dict)
    failures: dict[Key, int] = field(default_factory=dict)
    _took_shared: bool = False
    """True if the last key of the others was a shared one."""
    _heap: list[tuple[float, int, Key]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def add(self, key: Key) -> None:
        """Make the key ready, to be reconciled as soon as a worker is free."""
        if key in self.running:
            self.again.add(key)
        else:
            self._lane(key).setdefault(key)

    def add_at(self, key: Key, at: float) -> None:
        """Plan the key for a time; an earlier plan or ``add`` wins."""
        if at < self.due.get(key, float("inf")):
            self.due[key] = at
            heapq.heappush(self._heap, (at, next(self._order), key))

    def take(self, now: float, *, urgent: bool = True, background: bool = True) -> Key | None:
        """Return the next key to reconcile of a lane that has a free worker, an urgent one first; the caller must ``finish`` it."""
        self._wake(now)
        lane = self.ready if urgent and self.ready else self._next_of_others() if background else {}
        if not lane:
            return None
        if lane is not self.ready:
            self._took_shared = lane is self.shared
        key = next(iter(lane))
        del lane[key]
        self.due.pop(key, None)  # this reconcile replaces the planned one
        self.running.add(key)
        return key

    def finish(self, key: Key, now: float, *, failed: bool = False, after: float | None = None) -> None:
        """Record the end of a key's reconcile: it failed, or asks for another one ``after`` some seconds."""
        self.running.remove(key)
        if failed:
            self.failures[key] = self.failures.get(key, 0) + 1
            after = min(FIRST_BACKOFF * 2 ** (self.failures[key] - 1), LONGEST_BACKOFF) * self.jitter()
        else:
            self.failures.pop(key, None)
        if after is not None:
            self.add_at(key, now + after)
        if key in self.again:
            self.again.remove(key)
            self._lane(key)[key] = None

    def depth(self) -> int:
        """Return the number of keys to reconcile now."""
        return len(self.ready) + len(self.shared) + len(self.background)

    def _lane(self, key: Key) -> dict[Key, None]:
        return self.ready if key.is_urgent else self.shared if key.is_shared else self.background

    def _next_of_others(self) -> dict[Key, None]:
        is_shared = self.shared and not (self._took_shared and self.background)
        return self.shared if is_shared else self.background

    def next_due(self) -> float | None:
        """Return the time of the earliest planned key."""
        while self._heap and self.due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _wake(self, now: float) -> None:
        while (at := self.next_due()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self.due[key]
            self.add(key)


class Timer(Protocol):
    """Planned call of an event loop."""

    def cancel(self) -> None:
        """Cancel the call."""


class Loop(Protocol):
    """Functions of an event loop that the queue needs."""

    def time(self) -> float:
        """Return monotonic seconds."""

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Plan a call."""


def _any_key(_: Key) -> bool:
    return True


class WorkQueue:
    """Queue that runs one reconcile per key: at most ``workers`` of urgent keys at a time, and a quarter as many of others beside them.

    Until ``open`` it drops every key that is added, and always those that it does not ``take``: another process reconciles them.
    """

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[Result]],
        *,
        workers: int,
        loop: Loop,
        take: Callable[[Key], bool] = _any_key,
    ) -> None:
        self.schedule = Schedule()
        self.take = take
        self._reconcile = reconcile
        self._workers = {True: workers, False: max(1, workers // 4)}
        self._loop = loop
        self._open = False
        self._tasks: dict[asyncio.Task[None], bool] = {}
        """Running reconciles, and whether their key is urgent."""
        self._timer: Timer | None = None
        self._turned_at = loop.time()

    def open(self) -> None:
        """Accept keys from now on."""
        self._open = True

    async def close(self) -> None:
        """Stop at once: cancel running reconciles and drop all keys."""
        self._open = False
        if self._timer:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, *keys: Key, after: float = 0) -> None:
        """Add keys to reconcile now, or after some seconds."""
        if not self._open:
            return
        now = self._loop.time()
        for key in filter(self.take, keys):
            if after > 0:
                self.schedule.add_at(key, now + after)
            else:
                self.schedule.add(key)
        self._pump()

    def add_spread(self, keys: Sequence[Key]) -> None:
        """Add keys to reconcile one after the other, SPREAD_PER_SECOND of them."""
        for number, key in enumerate(filter(self.take, keys)):
            self.add(key, after=number / SPREAD_PER_SECOND)

    def stalled(self) -> float:
        """Return the seconds without a reconcile that began or ended although there is work; large means that the queue is stalled."""
        busy = self.schedule.depth() or self.schedule.running
        return self._loop.time() - self._turned_at if busy else 0.0

    def _pump(self) -> None:
        """Start ready keys, and plan the next call for the earliest planned key."""
        if not self._open:
            return
        while (key := self.schedule.take(self._loop.time(), **self._free())) is not None:
            self._turned_at = self._loop.time()
            task = asyncio.ensure_future(self._work(key))
            self._tasks[task] = key.is_urgent
            task.add_done_callback(self._done)
        if self._timer:
            self._timer.cancel()
        due = self.schedule.next_due() if any(self._free().values()) else None  # else the next finished worker pumps
        self._timer = None if due is None else self._loop.call_at(due, self._pump)

    def _free(self) -> dict[str, bool]:
        """Return which lanes have a free worker."""
        busy = Counter(self._tasks.values())
        return {"urgent": busy[True] < self._workers[True], "background": busy[False] < self._workers[False]}

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._turned_at = self._loop.time()
        self._tasks.pop(task, None)
        self._pump()

    async def _work(self, key: Key) -> None:
        """Reconcile a key, and turn its result or exception into the next reconcile: the one exit door."""
        failed, result = True, Result()
        try:
            async with asyncio.timeout(LONGEST_WORK):
                result = await self._reconcile(key)
            failed = False
        except (ApiUnavailable, ApiError, RetryLater, TimeoutError) as error:
            failed = not getattr(error, "namespace_terminating", False)  # Kubernetes deletes everything there by itself
            log.warning("reconcile failed", **key.log_fields, error=str(error), again=failed)
        except Exception:
            log.exception("reconcile failed", **key.log_fields, again=True)
        self.schedule.finish(key, self._loop.time(), failed=failed, after=result.requeue_after)
        self.add(*result.enqueue)
        self.add_spread(result.spread)
