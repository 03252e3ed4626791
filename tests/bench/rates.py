"""Rates that a machine holds: a load is doubled as long as its requests are answered as fast as they come, then approached."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")

HELD = 0.95
"""Part of the requested rate above which it is held."""
_DOUBLINGS = 4
_HALVINGS = 2
"""Rates that are tried between the highest that is held and the lowest that is not, each in the middle."""


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
    """Return the attempts: twice the rate each, up to ``rate`` or to the first that is not held, then between that and the one before.

    A rate that is not held is tried a second time, because other work may have come between.
    """
    attempts: list[Attempt[Result]] = []

    async def is_held(wanted: float) -> bool:
        attempts.append(await load(wanted))
        if not attempts[-1].is_held:
            attempts.append(await load(wanted))
        return attempts[-1].is_held

    low, high = 0.0, rate / 2**_DOUBLINGS
    while await is_held(high):
        if high >= rate:
            return attempts
        low, high = high, 2 * high
    for _ in range(_HALVINGS if low else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if await is_held(middle) else (low, middle)
    return attempts


def corrected(attempts: list[Attempt[Result]], longer: Attempt[Result]) -> list[Attempt[Result]]:
    """Return the attempts with a longer one in place of those that it refutes: at its rate, and above it those that were held."""
    kept = [one for one in attempts if one.wanted < longer.wanted or (one.wanted > longer.wanted and not one.is_held)]
    return [*kept, longer]


def highest(attempts: list[Attempt[Result]]) -> float:
    """Return the highest rate that was held; the lowest that was tried if none was."""
    held_rates = [attempt.wanted for attempt in attempts if attempt.is_held]
    return max(held_rates, default=min(attempt.wanted for attempt in attempts))


def text(attempts: list[Attempt[Result]], rate: float) -> str:
    """Return the rate that was asked for as it is reported: held, or not, with what was reached and what is held."""
    if any(attempt.wanted >= rate and attempt.is_held for attempt in attempts):
        return f"{rate:g}/s held"
    most = max(attempts, key=lambda attempt: (attempt.wanted, attempt.per_second))
    lost = f", {most.failed} failed" if most.failed else ""
    is_any_held = any(attempt.is_held for attempt in attempts)
    lower = f"{highest(attempts):g}/s held" if is_any_held else "no lower rate held"
    return f"{rate:g}/s not held, {most.per_second:.0f}/s at {most.wanted:g}/s{lost}; {lower}"
