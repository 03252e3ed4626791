"""Time that a test moves, with the calls and the sleeping tasks that wait for it."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from tests.fakes.clock import FakeClock

_TURNS = 50
"""Turns of the event loop in which tasks that wait for nothing but one another come to rest."""


class VirtualTime(FakeClock):
    """A clock, an event loop's timers and a ``sleep`` that all tell the same time."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[float, int, PlannedCall]] = []
        self._order = count()

    def time(self) -> float:
        return self.seconds

    def call_at(self, when: float, callback: Callable[[], object], /) -> "PlannedCall":
        call = PlannedCall(callback)
        heapq.heappush(self._calls, (when, next(self._order), call))
        return call

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self.call_at(self.seconds + seconds, lambda: None if woken.done() else woken.set_result(None))
        await woken

    async def run(self, seconds: float) -> None:
        """Let time pass. Each planned call happens at its time, and what it starts comes to rest before the next."""
        until = self.seconds + seconds
        await rest()
        while self._calls and self._calls[0][0] <= until:
            when, _, call = heapq.heappop(self._calls)
            self.seconds = max(self.seconds, when)
            if call.happens():
                await rest()
        self.seconds = until


class PlannedCall:
    """A call that can be cancelled."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def happens(self) -> bool:
        """Call, and return true, unless the call was cancelled."""
        if self._callback is None:
            return False
        self._callback()
        return True


async def rest() -> None:
    """Let all tasks run until each waits for the time or is done."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
