"""Removal of what the archive has kept for long enough."""

from dataclasses import asdict, dataclass

import structlog

from sympozium_archive.database import Database
from sympozium_archive.retention import AgeLimits, remove_expired
from sympozium_console.archiver.witnessed_clock import WitnessedClock

log = structlog.get_logger()


@dataclass(frozen=True)
class RetentionTimer:
    """Forgets contents, runs and entries of the audit by their age."""

    database: Database
    limits: AgeLimits
    clock: WitnessedClock

    async def expire(self) -> None:
        """Remove what is too old now. Raises ApiUnavailable and DatabaseUnavailable."""
        removed = asdict(await remove_expired(self.database, self.limits, await self.clock.now()))
        if any(removed.values()):
            log.info("archive entries expired", **removed)
