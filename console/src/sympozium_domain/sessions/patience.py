"""Wait of a request for its turn: until its time is over, or until nobody wants it any more."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class SessionBusy(Exception):
    """The turns before this one have not ended in time, or too many turns wait for them."""


class GivenUp(Exception):
    """The request's caller has left, or the process is about to end, before the turn's run was created."""


class Patience:
    """The time for which one request waits, and the events that end its wait."""

    def __init__(self, seconds: float, *given_up: asyncio.Event) -> None:
        self._began = asyncio.get_running_loop().time()
        self._deadline = self._began + seconds
        self._given_up = given_up

    @property
    def waited(self) -> float:
        """Seconds since the request came."""
        return asyncio.get_running_loop().time() - self._began

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Return the result of a wait without side effects. Raises SessionBusy and GivenUp, and cancels the wait."""
        result = asyncio.ensure_future(awaitable)
        stops = {asyncio.ensure_future(event.wait()) for event in self._given_up}
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            await asyncio.wait({result, *stops}, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return result.result()
            raise GivenUp if any(stop.done() for stop in stops) else SessionBusy
        finally:
            for task in (result, *stops):
                task.cancel()
            await asyncio.gather(result, *stops, return_exceptions=True)
