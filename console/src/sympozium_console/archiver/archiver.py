"""The loops of the archiver, in one replica at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_archive.database import Database
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_console.archiver.concurrently import all_of
from sympozium_console.archiver.content_loop import ContentLoop
from sympozium_console.archiver.instance_deletions import InstanceDeletions
from sympozium_console.archiver.pruner import ArchivePruner
from sympozium_console.archiver.retention_timer import RetentionTimer

PRUNE_SECONDS = 60.0
"""Seconds between two prunings. Up to 33 runs of an instance may end each second before it reaches the operator's ceiling."""
COUNT_SECONDS = 60.0
"""Seconds between two counts of the contents that are lost."""
RESUME_SECONDS = 30.0
"""Seconds between two looks for deletions that another process began."""
EXPIRE_SECONDS = 600.0
"""Seconds between two removals of what is too old."""
_CONFIRM_SECONDS = 10.0
_RETRY_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Archiver:
    """Archives runs, prunes them, and forgets what is too old."""

    database: Database
    contents: ContentLoop
    pruner: ArchivePruner
    deletions: InstanceDeletions
    retention: RetentionTimer

    async def run(self) -> None:
        """Archive without end, in one replica at a time. A database or an API server that is away is waited for."""
        while True:
            try:
                async with self.database.lock("archiver") as lock:
                    await all_of(
                        [
                            _every(_RETRY_SECONDS, self.contents.run),
                            _every(PRUNE_SECONDS, self.pruner.prune),
                            _every(COUNT_SECONDS, self.contents.count_lost),
                            _every(RESUME_SECONDS, self.deletions.resume),
                            _every(EXPIRE_SECONDS, self.retention.expire),
                            _confirm(lock.confirm),
                        ]
                    )
            except DatabaseUnavailable as error:
                log.warning("the archiver waits for the database", reason=error.reason)
                await asyncio.sleep(_RETRY_SECONDS)


async def _every(seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    """Take a step without end, and again later where the database or the API server does not let it."""
    while True:
        try:
            await step()
        except (ApiError, ApiUnavailable, DatabaseUnavailable) as error:
            reason = type(error).__name__ if isinstance(error, ApiUnavailable) else error.reason
            log.warning("the archiver tries again", step=step.__qualname__, reason=reason)
        await asyncio.sleep(seconds)


async def _confirm(confirm: Callable[[], Awaitable[None]]) -> None:
    """Check without end that this process has the lock still. Raises DatabaseUnavailable if it has not."""
    while True:
        await asyncio.sleep(_CONFIRM_SECONDS)
        await confirm()
