"""Rates that a machine holds: a load is doubled as long as its requests are answered as fast as they come."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")

HELD = 0.95
"""Part of the requested rate above which it is held."""
_DOUBLINGS = 4


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
    """Return the attempts, twice the rate each, up to ``rate`` or to the first that is not held: that one leaves a backlog."""
    attempts = [await load(rate / 2**_DOUBLINGS)]
    while attempts[-1].is_held and attempts[-1].wanted < rate:
        attempts.append(await load(2 * attempts[-1].wanted))
    return attempts


def highest(attempts: list[Attempt[Result]]) -> float:
    """Return the highest rate that was held; the lowest that was tried if none was."""
    return max((attempt.wanted for attempt in attempts if attempt.is_held), default=attempts[0].wanted)


def text(attempts: list[Attempt[Result]], rate: float) -> str:
    """Return the rate that was asked for as it is reported: held, or not, with what was reached and what is held."""
    last = attempts[-1]
    if last.is_held:
        return f"{rate:g}/s held"
    lost = f", {last.failed} failed" if last.failed else ""
    lower = f"{highest(attempts):g}/s held" if attempts[0].is_held else "no lower rate held"
    return f"{rate:g}/s not held, {last.per_second:.0f}/s at {last.wanted:g}/s{lost}; {lower}"
