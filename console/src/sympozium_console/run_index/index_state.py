"""Answer to the question whether the index is whole, in the replica that keeps it and in the others."""

from dataclasses import dataclass

from sympozium_api.clock import Clock
from sympozium_archive.database import Database
from sympozium_archive.run_index_state import IndexedRuns, RunIndexState
from sympozium_archive.times import microseconds
from sympozium_console.run_index.index_progress import IndexProgress

_KEPT_MICROSECONDS = 60_000_000
"""Age of a confirmation up to which the table counts as kept: a replica that takes over needs some seconds to list all runs."""


@dataclass(frozen=True)
class Unread:
    """The runs that were read of an index that is not whole."""

    read: int
    expected: int | None


class IndexState:
    """State of the index as one replica knows it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._stored = RunIndexState(database)
        self._is_alone = database.settings.is_sqlite
        self._clock = clock
        self._progress: IndexProgress | None = None

    def lead(self, progress: IndexProgress) -> None:
        """Note that this replica keeps the index."""
        self._progress = progress

    def resign(self) -> None:
        """Note that this replica no longer keeps the index."""
        self._progress = None

    async def publish(self) -> None:
        """Tell the other replicas how far the index is. Raises DatabaseUnavailable."""
        progress = self._progress
        if self._is_alone or progress is None:
            return
        confirmed_at = self._now() if progress.is_whole else (await self._stored.read()).confirmed_at
        await self._stored.write(IndexedRuns(progress.read, progress.expected, confirmed_at))

    async def unread(self) -> Unread | None:
        """Return how far the index is; None: it is whole. Raises DatabaseUnavailable."""
        progress = self._progress
        if progress is not None and progress.is_whole:
            return None
        if self._is_alone:
            return Unread(progress.read, progress.expected) if progress else Unread(0, None)
        stored = await self._stored.read()
        if stored.confirmed_at is not None and self._now() - stored.confirmed_at < _KEPT_MICROSECONDS:
            return None
        return Unread(stored.read, stored.expected)

    def _now(self) -> int:
        return microseconds(self._clock.now())
