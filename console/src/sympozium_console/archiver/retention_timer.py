"""Removal of what the archive has kept for long enough."""

from dataclasses import asdict, dataclass

import structlog

from sympozium_api.clock import Clock
from sympozium_archive.database import Database
from sympozium_archive.retention import AgeLimits, remove_expired

log = structlog.get_logger()


@dataclass(frozen=True)
class RetentionTimer:
    """Forgets contents, runs and entries of the audit by their age."""

    database: Database
    limits: AgeLimits
    clock: Clock

    async def expire(self) -> None:
        """Remove what is too old now. Raises DatabaseUnavailable."""
        removed = asdict(await remove_expired(self.database, self.limits, self.clock.now()))
        if any(removed.values()):
            log.info("archive entries expired", **removed)
