"""Sums and percentiles of runs over time, the same for both databases: of stored half hours and days, and of the runs beside them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from sqlalchemy import BigInteger, ColumnElement, cast, func, literal_column, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sympozium_archive.database import Database
from sympozium_archive.run_queries import within
from sympozium_archive.tables import runs, usage_spans
from sympozium_archive.usage_rollup import DAY, DIMENSIONS, HALF_HOUR, counted
from sympozium_archive.usage_sums import Dimension, Group, Measure, Sums, UsageSums

MOST_GROUPS = 10_000
"""Most groups of one answer."""
_ROWS = 10_000
"""Runs that a thread adds at a time."""
_SPANS = 16
"""Stored half hours and days that a thread adds at a time."""


class TooManyGroups(ValueError):
    """More groups than an answer may have."""


@dataclass(frozen=True)
class UsageFilter:
    """The runs to sum up. Times are microseconds since 1970, of a run's acceptance: ``since`` <= time < ``until``."""

    since: int
    until: int
    namespace: str | None = None
    namespaces: tuple[str, ...] | None = None
    """Namespaces of which the runs' is one; None: any."""

    def has(self, namespace: str | None) -> bool:
        """Return True if runs of a namespace are counted."""
        return self.namespace in (None, namespace) and (self.namespaces is None or namespace in self._set)

    @cached_property
    def _set(self) -> frozenset[str]:
        return frozenset(self.namespaces or ())


@dataclass(frozen=True)
class Usage:
    """Sums of one group of runs. A sum is None if no run of the group has the number."""

    bucket: int | None
    """Begin of the group's time, in microseconds since 1970; None if times are not grouped."""
    group: tuple[str | None, ...]
    """Values of the dimension, with ``instance`` namespace and name; empty if there is none."""
    runs: int
    ended: int
    failed: int
    warm: int
    """Number of runs that an idle pod ran."""
    started: int
    """Number of runs of which it is known whether an idle pod ran them."""
    input_tokens: int | None
    output_tokens: int | None
    cost: int | None = None
    """Billionths of a US dollar, of the runs that have a price."""
    priced: int = 0
    """Number of runs that have a price."""
    percentiles: dict[Measure, tuple[int, int]] = field(default_factory=dict)
    """p50 and p95 in milliseconds, of each measure that a run of the group has. Nearest rank: each is the value of some run, rounded
    down by less than 0.4 %; below 512 ms it is exact."""

    @classmethod
    def of(cls, key: tuple[Any, ...], sums: Sums) -> Self:
        """Return the sums of a key, which is a bucket and a group."""
        runs_, ended, failed, warm, started, *amounts = sums.numbers
        input_tokens, output_tokens, cost = (
            amount if known else None for amount, known in zip(amounts[::2], amounts[1::2], strict=True)
        )
        known = (runs_, ended, failed, warm, started, input_tokens, output_tokens, cost, amounts[-1])
        return cls(key[0], key[1:], *known, sums.percentiles())


class UsageQueries:
    """Readers of sums over the runs, one at a time: over many runs they take long. Every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._slot = asyncio.Semaphore(1)

    async def counts_since(self, namespaces: Sequence[str] | None = None) -> int | None:
        """Return the time of acceptance of the oldest run in the table, or in some namespaces; None if there is none."""
        statement = select(func.min(runs.c.created_at)).where(*within(namespaces))
        async with self._database.reading() as connection:
            oldest: int | None = await connection.scalar(statement)
        return oldest

    async def usage(
        self, wanted: UsageFilter, *, by: Dimension | None = None, bucket: int | None = None
    ) -> list[Usage]:
        """Return the sums of each group, by time and by size; without dimension and bucket one group, of all runs.

        ``bucket`` is in microseconds, and buckets are aligned to 1970. Raises TooManyGroups.
        """
        async with self._database.turn(self._slot), self._database.reading() as connection:
            sums = await _Summing(connection, wanted, by, bucket).sums()
        if by is None and bucket is None:
            sums.of((None,))
        usages = await asyncio.to_thread(lambda: [Usage.of(*item) for item in sums.groups.items()])
        return sorted(usages, key=lambda usage: (usage.bucket or 0, -usage.runs, [part or "" for part in usage.group]))


@dataclass
class _Summing:
    """The sums of one query: each run is in a stored time, or is read itself."""

    connection: AsyncConnection
    wanted: UsageFilter
    by: Dimension | None
    bucket: int | None
    found: UsageSums = field(default_factory=UsageSums)

    async def sums(self) -> UsageSums:
        gaps = [(self.wanted.since, self.wanted.until)]
        for length in (DAY, HALF_HOUR):
            if self.bucket is None or self.bucket % length == 0:
                gaps = [left for gap in gaps for left in await self._add_stored(length, *gap)]
        for gap in gaps:
            await self._add_runs(*gap)
        return self.found

    async def _add_stored(self, length: int, since: int, until: int) -> list[tuple[int, int]]:
        """Add what is stored of a time, in parts of a length, and return the times that are left."""
        if until - since < length:
            return [(since, until)]
        statement = (
            select(usage_spans.c.since, usage_spans.c.content)
            .where(
                usage_spans.c.length == length,
                usage_spans.c.since >= since,
                usage_spans.c.since <= until - length,
                usage_spans.c.dimension == (self.by or "source"),
                usage_spans.c.content.is_not(None),
            )
            .order_by(usage_spans.c.since)
        )
        left, begin = [], since
        async with self.connection.stream(statement) as result:
            async for part in result.partitions(_SPANS):
                for row in part:
                    left.append((begin, row.since))
                    begin = row.since + length
                await asyncio.to_thread(self._add_contents, part)
                self._check()
        return [(first, last) for first, last in (*left, (begin, until)) if first < last]

    def _add_contents(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.found.add_packed(row.content, self._group_of(self._bucket_of(row.since)))

    def _group_of(self, bucket: int | None) -> Callable[[Group], tuple[Any, ...] | None]:
        """Return the function that makes the key of a namespace and the dimension's value; None if it is not counted."""

        def group_of(stored: Group) -> tuple[Any, ...] | None:
            if not self.wanted.has(stored[0]):
                return None
            return (bucket, *(stored if self.by == "instance" else stored[1:] if self.by else ()))

        return group_of

    async def _add_runs(self, since: int, until: int) -> None:
        """Add the runs of a time, which the database reads a few at a time."""
        columns: list[ColumnElement[Any]] = [_begin(self.bucket) if self.bucket else null()]
        columns += [runs.c.namespace] if self.by == "instance" else []
        columns += [runs.c[DIMENSIONS[self.by]]] if self.by else []
        where = [*within(self.wanted.namespaces)]
        if self.wanted.namespace is not None:
            where.append(runs.c.namespace == self.wanted.namespace)
        statement, keys = counted(since, until, *columns).where(*where), len(columns)
        async with self.connection.stream(statement) as result:
            async for part in result.partitions(_ROWS):
                await asyncio.to_thread(self.found.add_runs, part, lambda row: tuple(row[:keys]))
                self._check()

    def _bucket_of(self, moment: int) -> int | None:
        return moment // self.bucket * self.bucket if self.bucket else None

    def _check(self) -> None:
        if len(self.found.groups) > MOST_GROUPS:
            raise TooManyGroups


def _begin(bucket: int) -> ColumnElement[Any]:
    """Return the begin of a run's bucket. Its size is part of the statement, so that it has the type of a time."""
    size = literal_column(str(bucket), BigInteger())
    return (cast(runs.c.created_at, BigInteger()) // size) * size
