"""Loop that archives the contents of ended runs: of all that the table has not at the start, then of each as it ends."""

import asyncio
from datetime import timedelta

from sympozium_archive.run_rows import RunRow
from sympozium_archive.times import microseconds
from sympozium_console.archiver.postponed_runs import PostponedRuns
from sympozium_console.archiver.run_archive import KnownRun, RunArchive

_PAGE = 200
"""Rows that are asked for at a time."""
_POLL_SECONDS = 2.0
"""Seconds between two looks at the table, which a wake shortens: another replica may write the rows."""
_SETTLED_SECONDS = 60.0
"""Seconds after a run's deletion after which its content is not on its way to the table any more."""


class ContentLoop:
    """Archives what is missing."""

    def __init__(self, archive: RunArchive) -> None:
        self._archive = archive
        self._postponed = PostponedRuns(archive.clock)
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

        One that fails waits for its next time, and stops no other.
        """
        last: RunRow | None = None
        failed = set[str]()
        while rows := await self._archive.rows.missing_content(_PAGE, last):
            self._archive.metrics.queue.labels("contents").set(len(rows))
            runs = [KnownRun(row.uid, row.namespace, row.name, row.resource_version) for row in rows]
            due = [run for run in runs if self._postponed.is_due(run.uid)]
            stored = await self._archive.store_all(due)
            if due and not stored and not await self._archive.reader.answers():
                return
            for run in due:
                if run.uid not in stored:
                    self._postponed.failed(run.uid)
            failed |= {run.uid for run in runs if run.uid not in stored}
            last = rows[-1]
        self._postponed.retain(failed)
        self._archive.metrics.queue.labels("contents").set(0)

    async def count_lost(self) -> None:
        """Count the runs that are gone and whose content was never read. Raises DatabaseUnavailable."""
        settled = self._archive.clock.now() - timedelta(seconds=_SETTLED_SECONDS)
        self._archive.metrics.contents_lost.inc(await self._archive.contents.give_up_gone(microseconds(settled)))
