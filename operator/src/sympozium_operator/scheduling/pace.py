"""Pace of a loop over many objects, so that its calls of the API server are spread over time."""

from collections.abc import Awaitable, Callable


class Pace:
    """At most so many steps a second, for all loops that share it."""

    def __init__(
        self, per_second: float, *, now: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._gap = 1 / per_second
        self._now = now
        self._sleep = sleep
        self._next = float("-inf")

    async def step(self) -> None:
        """Wait until the next step may begin."""
        now = self._now()
        at = max(self._next, now)
        self._next = at + self._gap
        if at > now:
            await self._sleep(at - now)
