"""An event loop whose time does not pass: while all tasks wait, it jumps to the next planned call. For code that does no real I/O."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any


class _Jump(selectors.SelectSelector):
    """A selector that waits for nothing."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "all tasks wait for one another"
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


class LoopClock:
    """The clock of one machine, which may be wrong, and run too fast or too slowly."""

    def __init__(self, *, rate: float = 1.0, offset: float = 0.0) -> None:
        self._rate = rate
        self._offset = offset

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return self._offset + asyncio.get_running_loop().time() * self._rate

    async def sleep(self, seconds: float) -> None:
        """Sleep as long as this clock's seconds take."""
        await asyncio.sleep(seconds / self._rate)
