"""Loop that archives the contents of ended runs: of all that the table has not at the start, then of each as it ends."""

import asyncio

from sympozium_archive.run_rows import RunRow
from sympozium_console.archiver.run_archive import KnownRun, RunArchive

_PAGE = 200
"""Rows that are asked for at a time."""
_POLL_SECONDS = 2.0
"""Seconds between two looks at the table, which a wake shortens: another replica may write the rows."""


class ContentLoop:
    """Archives what is missing."""

    def __init__(self, archive: RunArchive) -> None:
        self._archive = archive
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at the table now, because a run has ended or was discarded."""
        self._woken.set()

    async def run(self) -> None:
        """Archive contents without end. Raises DatabaseUnavailable."""
        while True:
            self._woken.clear()
            await self.archive_missing()
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def archive_missing(self) -> None:
        """Archive the content of each ended run that the archive has not, oldest first. Raises DatabaseUnavailable.

        One that fails waits for the next time, and stops no other.
        """
        last: RunRow | None = None
        while rows := await self._archive.rows.missing_content(_PAGE, last):
            self._archive.metrics.queue.labels("contents").set(len(rows))
            runs = [KnownRun(row.uid, row.namespace, row.name, row.resource_version) for row in rows]
            if not await self._archive.store_all(runs) and not await self._archive.reader.answers():
                return
            last = rows[-1]
        self._archive.metrics.queue.labels("contents").set(0)

    async def count_lost(self) -> None:
        """Count the runs that are gone and whose content was never read. Raises DatabaseUnavailable."""
        self._archive.metrics.contents_lost.inc(await self._archive.contents.give_up_gone())
