"""Clock by which what is old is removed: one that is wrong alone removes nothing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from sympozium_api.clock import Clock

_TOLERANCE = timedelta(minutes=5)
"""Difference between clocks that is usual."""

Witness = Callable[[], Awaitable[datetime]]
"""Function that returns the time of day by another machine's clock."""

log = structlog.get_logger()


@dataclass(frozen=True)
class WitnessedClock:
    """Clock of this machine, with those of others as witnesses. The earliest counts: too late is better than too early."""

    clock: Clock
    witnesses: Sequence[Witness] = ()

    async def now(self) -> datetime:
        """Return the earliest of all times. Raises what a witness raises that cannot be asked: ApiUnavailable, DatabaseUnavailable."""
        others = [await witness() for witness in self.witnesses]
        own = self.clock.now()
        earliest, latest = min([own, *others]), max([own, *others])
        if latest - earliest > _TOLERANCE:
            log.warning("clocks differ, the earliest counts", own=own.isoformat(), earliest=earliest.isoformat())
        return earliest
