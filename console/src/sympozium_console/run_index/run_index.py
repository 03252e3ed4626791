"""The loop that keeps the index of runs: one replica lists and watches the runs, and writes them into the table."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from sympozium_api.client import ApiError, ApiUnavailable, Change, Client, RowPage, watch_rows
from sympozium_api.clock import Clock
from sympozium_api.resources import RUNS, Object
from sympozium_archive.database import Database, HeldLock
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.times import microseconds
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_archive.usage_rollup import UsageRollup
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.run_index import indexed_rows
from sympozium_console.run_index.index_progress import IndexProgress, Scope
from sympozium_console.run_index.index_state import IndexState
from sympozium_console.run_index.pending_rows import PendingRows

LOCK = "index"
_WAIT_SECONDS = 0.1
"""Seconds for which a change waits for others to join its transaction, so that a batch is at most 200 ms old."""
_BATCH = 500
_MOST_PENDING = 5_000
"""Runs whose changes wait for a database that is away, some 10 MB, before the watch stands still."""
_CONFIRM_SECONDS = 5.0
"""Interval at which the lock is confirmed, and other replicas are told that the table is kept."""
_SUM_UP_SECONDS = 20.0
"""Interval at which usage is stored. Half an hour or a day of which a run changes is read again in the meantime."""
_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 5.0
_GIVE_UP_SECONDS = 5.0
"""Seconds after which a named namespace that may not be read, or does not exist, holds up the others no longer."""
_SKIP_SECONDS = 30.0

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class RunIndex:
    """Keeper of the table of runs. Without an archive the row of a run that is gone from Kubernetes goes too."""

    client: Client
    database: Database
    clock: Clock
    metrics: ConsoleMetrics
    state: IndexState
    scopes: tuple[Scope, ...] = (None,)
    keeps_gone: bool = False
    wake_archiver: Callable[[], None] = lambda: None
    """Called when runs have ended, or must not be stored any more."""
    rows: RunRows = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", RunRows(self.database))

    async def run(self) -> None:
        """Keep the table whenever this replica has the lock, without end. A replica that gets the lock lists all runs again."""
        while True:
            try:
                async with self.database.lock(LOCK) as lock:
                    await self._lead(lock)
            except* DatabaseUnavailable as failures:
                self._count_failure(failures.exceptions[0])
            finally:
                self.state.resign()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _lead(self, lock: HeldLock) -> None:
        progress = IndexProgress(self.scopes)
        self.state.lead(progress)
        pending = PendingRows(most=_MOST_PENDING, wait_seconds=_WAIT_SECONDS)
        self.metrics.lag.set_function(lambda: pending.lag_seconds)
        self.metrics.queue.labels(queue="runs").set_function(lambda: len(pending))
        async with asyncio.TaskGroup() as tasks:
            for scope in self.scopes:
                tasks.create_task(_ScopeWatch(self, scope, progress, pending).follow())
            tasks.create_task(self.persist(self._forget_unwatched))
            tasks.create_task(self._write_changes(pending))
            tasks.create_task(self._sum_up(progress))
            tasks.create_task(self._confirm(lock))

    async def _sum_up(self, progress: IndexProgress) -> None:
        """Store the usage of half hours and days that have passed, whatever the database says."""
        rollup = UsageRollup(self.database)
        while True:
            try:
                if progress.is_whole:
                    await rollup.roll(self.clock.now())
            except DatabaseUnavailable as failure:
                self._count_failure(failure)
            await asyncio.sleep(_SUM_UP_SECONDS)

    async def _confirm(self, lock: HeldLock) -> None:
        """Confirm the lock, and with it the table, again and again. Raises DatabaseUnavailable if the lock is lost."""
        while True:
            await lock.confirm()
            await self.publish()
            await asyncio.sleep(_CONFIRM_SECONDS)

    async def _write_changes(self, pending: PendingRows) -> None:
        while True:
            rows = await pending.take(_BATCH)
            await self.persist(lambda rows=rows: self._write(rows))  # type: ignore[misc] # mypy infers no default of a lambda
            pending.written()
            self._tell(rows)

    async def _write(self, rows: list[RunRow]) -> None:
        if self.keeps_gone:
            await self.rows.upsert(rows)
            return
        await self.rows.upsert(row for row in rows if row.deleted_at is None)
        await self.rows.remove([row.uid for row in rows if row.deleted_at is not None])

    async def persist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write to the database, again and again until it takes it."""
        pause = _RETRY_SECONDS
        while True:
            try:
                with self.metrics.batch_duration.time():
                    await write()
            except DatabaseUnavailable as failure:
                self._count_failure(failure)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_RETRY_SECONDS)

    async def publish(self) -> None:
        """Tell the other replicas how far the index is, unless the database is away."""
        try:
            await self.state.publish()
        except DatabaseUnavailable as failure:
            self._count_failure(failure)

    async def forget(self, uids: list[str]) -> None:
        """Take runs that are gone from Kubernetes out of the table, or mark them as gone."""
        if self.keeps_gone:
            await self.rows.gone(uids, microseconds(self.clock.now()))
        else:
            await self.rows.remove(uids)

    async def _forget_unwatched(self) -> None:
        """Take the runs of namespaces that are not watched any more for gone. A list shows them if they are watched again."""
        watched = [scope for scope in self.scopes if scope is not None]
        if len(watched) == len(self.scopes):
            await self.forget(await self.rows.uids_outside(watched))

    def read(self, row: Object) -> RunRow | None:
        """Return the table's row of a row; None for a server run, and for a row that cannot be read, which is counted."""
        try:
            return indexed_rows.indexed(row)
        except (LookupError, TypeError, ValueError, AttributeError) as failure:
            self.metrics.unreadable_runs.inc()
            log.warning("run cannot be indexed", uid=indexed_rows.uid_of(row), error=type(failure).__name__)
            return None

    def _tell(self, rows: list[RunRow]) -> None:
        self.metrics.rows.labels(table="runs").inc(len(rows))
        if any(row.ended or row.is_private for row in rows):
            self.wake_archiver()

    def _count_failure(self, failure: BaseException) -> None:
        self.metrics.database_errors.inc()
        log.warning("the index cannot use the database, trying again", error=str(failure))


@dataclass
class _ScopeWatch:
    """The watch of one namespace's runs, or of all."""

    index: RunIndex
    scope: Scope
    progress: IndexProgress
    pending: PendingRows
    present: set[str] = field(default_factory=set)
    """UIDs of the runs that the current list has shown so far."""

    async def follow(self) -> None:
        """List and watch without end. A namespace that may not be read, or does not exist, is tried again later."""
        give_up = () if self.scope is None else (_GIVE_UP_SECONDS,)
        while True:
            try:
                async with aclosing(watch_rows(self.index.client, RUNS, self.scope, *give_up)) as messages:
                    async for message in messages:
                        await (self._page(message) if isinstance(message, RowPage) else self._change(message))
            except (ApiError, ApiUnavailable) as failure:
                await self._pause(failure)

    async def _pause(self, failure: ApiError | ApiUnavailable) -> None:
        if isinstance(failure, ApiError) and (failure.forbidden or failure.not_found):
            log.warning("namespace is not indexed", namespace=self.scope, status=failure.status)
            self.progress.whole(self.scope)
            await asyncio.sleep(_SKIP_SECONDS)
        else:
            await asyncio.sleep(_RETRY_SECONDS)

    async def _page(self, page: RowPage) -> None:
        """Write a page, and after the last one forget the runs that vanished while nobody watched."""
        if page.is_first:
            self.present.clear()
        self.present.update(filter(None, map(indexed_rows.uid_of, page.rows)))
        rows = [row for row in map(self.index.read, page.rows) if row is not None]
        await self.index.persist(lambda: self.index.rows.upsert(rows, list_version=page.version))
        self.progress.page(self.scope, page)
        if page.is_last:
            await self.pending.settled()  # or states older than the list would bring back runs that it lacks
            await self.index.persist(lambda: self._reconcile(page.version))
            self.present.clear()
            self.progress.whole(self.scope)
        await self.index.publish()

    async def _reconcile(self, version: str) -> None:
        gone = await self.index.rows.uids_not_in(self.present, version, self.scope)
        await self.index.forget(gone)

    async def _change(self, change: Change) -> None:
        if (row := self.index.read(change.object)) is None:
            return
        if change.deleted:
            row = indexed_rows.deleted(row, microseconds(self.index.clock.now()))
        await self.pending.put(row)
