"""Rates that a machine holds: a load is stepped down until its requests are answered as fast as they come."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")

HELD = 0.95
"""Part of the requested rate above which it is held."""
_STEP = 0.5
_NEAR = 0.9
_LOWEST = 5.0
REST_SECONDS = 10.0
"""Between two attempts: what the one before left shall not be measured."""


@dataclass(frozen=True)
class Attempt(Generic[Result]):
    """A load at one rate."""

    wanted: float
    """Requests per second that began."""
    per_second: float
    """Requests per second that were answered, from the first's begin to the last's end."""
    failed: int
    result: Result

    @property
    def is_held(self) -> bool:
        """Return whether all requests were answered as fast as they came."""
        return not self.failed and self.per_second >= HELD * self.wanted


async def held(load: Callable[[float], Awaitable[Attempt[Result]]], rate: float) -> list[Attempt[Result]]:
    """Return the attempts from ``rate`` down to the first rate that is held, which is the last of them."""
    attempts = [await load(rate)]
    while not attempts[-1].is_held and attempts[-1].wanted > _LOWEST:
        await asyncio.sleep(REST_SECONDS)
        attempts.append(await load(max(_LOWEST, min(_STEP * attempts[-1].wanted, _NEAR * attempts[-1].per_second))))
    return attempts


def text(attempts: list[Attempt[Result]]) -> str:
    """Return the rate that was asked for as it is reported: held, or not, with what was reached and what is held."""
    first, last = attempts[0], attempts[-1]
    if first.is_held:
        return f"{first.wanted:g}/s held"
    lower = f"; {last.wanted:.0f}/s held" if last.is_held else ""
    lost = f", {first.failed} failed" if first.failed else ""
    return f"{first.wanted:g}/s not held, {first.per_second:.0f}/s{lost}{lower}"
