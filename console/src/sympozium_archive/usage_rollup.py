"""Usage by half hour and by day, stored so that months are summed up in a second."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, select, update

from sympozium_archive import dialects
from sympozium_archive.database import Database
from sympozium_archive.tables import runs, usage_spans
from sympozium_archive.times import microseconds
from sympozium_archive.usage_sums import COUNTED, Dimension, UsageSums

DAY, HALF_HOUR = dialects.SPAN_LENGTHS
HALF_HOURS_KEPT = 8 * DAY
"""Microseconds for which usage is stored by half hour too: a week and what is left of a day."""
_SETTLED = 600_000_000
"""Microseconds after which most runs of a time have ended. A late one makes its half hour and day be summed up again."""
_ROWS = 5000
"""Runs that are read and summed up at a time, in a few milliseconds."""
_REST = 0.5
"""Seconds of rest per second of work: a console with years of runs answers its callers while it sums them up for the first time."""
_PAUSE = 20
"""Seconds per second of work before a time is stored again. Without an archive yesterday loses runs all day long, and is read from
them in between: else a console with many runs would do nothing but sum up yesterday."""

DIMENSIONS: dict[Dimension, str] = {
    "instance": "instance",
    "model": "model",
    "key": "key_id",
    "source": "source",
    "error": "error",
}
"""Columns of ``runs`` by dimension."""
Span = tuple[int, int]
"""Length and begin of a time, in microseconds."""


class UsageRollup:
    """Writer of stored usage. One process at a time should call it; two are slower, and as right."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._database = database
        self._clock = clock
        self._rests_until: dict[Span, float] = {}

    async def roll(self, now: datetime) -> int:
        """Store the usage of the half hours and days that have passed and lack it, the newest first, and return their number.

        One that was stored and has changed since waits first, the longer the more runs it has.
        Raises DatabaseUnavailable.
        """
        until = microseconds(now) - _SETTLED
        oldest = until // HALF_HOUR * HALF_HOUR - HALF_HOURS_KEPT
        await self._forget_half_hours(oldest)
        missing = [
            *await self._missing(HALF_HOUR, oldest, until),
            *await self._missing(DAY, 0, until),
        ]
        began = self._clock()
        self._rests_until = {span: until for span, until in self._rests_until.items() if until > began}
        missing = [span for span in missing if span not in self._rests_until]
        await self._begin(missing)
        for span in missing:
            began = self._clock()
            await self._store(span)
            ended = self._clock()
            self._rests_until[span] = ended + _PAUSE * (ended - began)
            await asyncio.sleep(_REST * (ended - began))
        return len(missing)

    async def _forget_half_hours(self, before: int) -> None:
        old = delete(usage_spans).where(usage_spans.c.length == HALF_HOUR, usage_spans.c.since < before)
        async with self._database.writing() as connection:
            await connection.run_sync(dialects.lock_transaction, dialects.FORGET_LOCK)
            await connection.execute(old)

    async def _missing(self, length: int, since: int, until: int) -> list[Span]:
        """Return the times of a length that have runs and whose usage is not whole, the newest first."""
        stored = select(usage_spans.c.since).where(
            usage_spans.c.length == length, usage_spans.c.dimension == "source", usage_spans.c.content.is_not(None)
        )
        newest = select(func.max(runs.c.created_at)).where(runs.c.created_at < bindparam("before"))
        found: list[Span] = []
        before = until // length * length
        async with self._database.reading() as connection:
            whole = set((await connection.execute(stored)).scalars())
            while before > since:
                if before - length in whole:
                    before -= length
                    continue
                last = await connection.scalar(newest, {"before": before})
                if last is None or last < since:
                    break
                before = last // length * length
                if before not in whole:
                    found.append((length, before))
        return found

    async def _begin(self, spans: Sequence[Span]) -> None:
        """Insert rows without content. What changes from now on removes them; what changed before is committed, and will be read."""
        if not spans:
            return
        values = [
            {"length": length, "since": since, "dimension": dimension}
            for length, since in spans
            for dimension in DIMENSIONS
        ]
        insert = dialects.insert_or_nothing(usage_spans, self._database.dialect)
        async with self._database.writing() as connection:
            await connection.run_sync(dialects.lock_transaction, dialects.USAGE_LOCK)
            await connection.execute(insert, values)

    async def _store(self, span: Span) -> None:
        """Sum up a time's runs, and store the sums unless a run has changed meanwhile."""
        length, since = span
        sums = {dimension: UsageSums() for dimension in DIMENSIONS}
        columns = [runs.c[column] for column in DIMENSIONS.values()]
        is_span = and_(usage_spans.c.length == length, usage_spans.c.since == since)
        rows = select(usage_spans.c.dimension, dialects.row_version(self._database.dialect)).where(is_span)
        async with self._database.reading() as connection:
            begun = {tuple(row) for row in await connection.execute(rows)}
            statement = counted(since, since + length, runs.c.namespace, *columns)
            async with connection.stream(statement) as result:
                async for part in result.partitions(_ROWS):
                    for column, of_dimension in enumerate(sums.values(), start=1):
                        of_dimension.add_runs(part, itemgetter(0, column))
                        await asyncio.sleep(0)
        values = [
            {"is_dimension": dimension, "packed": await asyncio.to_thread(found.packed)}
            for dimension, found in sums.items()
        ]
        unlocked = rows.with_for_update(skip_locked=True)  # a change that has locked rows will remove them
        store = update(usage_spans).where(is_span, usage_spans.c.dimension == bindparam("is_dimension"))
        async with self._database.writing() as connection:
            left = {tuple(row) for row in await connection.execute(unlocked)}
            if left == begun and len(left) == len(DIMENSIONS):
                await connection.execute(store.values(content=bindparam("packed")), values)


def counted(since: int, until: int, *columns: ColumnElement[Any]) -> Select[tuple[Any, ...]]:
    """Return the query of columns, and of what is counted, of the runs that were accepted in a time."""
    return select(*columns, *(runs.c[name] for name in COUNTED)).where(
        runs.c.created_at >= since, runs.c.created_at < until
    )
