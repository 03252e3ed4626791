"""Sums and percentiles of runs over time, the same for both databases."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, ColumnElement, case, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sympozium_archive.database import Database
from sympozium_archive.run_queries import times, within
from sympozium_archive.tables import runs

Dimension = Literal["instance", "model", "key", "source", "error"]
Measure = Literal["waiting_ms", "first_token_ms", "duration_ms"]

MOST_GROUPS = 10_000
"""Most groups of one answer."""
EXACT_RUNS = 50_000
"""Runs of one answer up to which percentiles are exact. Of more, values are rounded, because sorting a million takes a minute."""
_GROUPS: dict[Dimension, tuple[ColumnElement[Any], ...]] = {
    "instance": (runs.c.namespace, runs.c.instance),
    "model": (runs.c.model,),
    "key": (runs.c.key_id,),
    "source": (runs.c.source,),
    "error": (runs.c.error,),
}
_PERCENTS = (50, 95)


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
    """p50 and p95 in milliseconds, of each measure that a run of the group has. Nearest rank: each is the value of some run, of more
    than ``EXACT_RUNS`` runs rounded down by less than 0.4 %."""


class UsageQueries:
    """Readers of sums over the table of runs, one at a time: over many runs they take long. Every method may raise DatabaseUnavailable."""

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
        self,
        wanted: UsageFilter,
        *,
        by: Dimension | None = None,
        bucket: int | None = None,
        exact_runs: int = EXACT_RUNS,
    ) -> list[Usage]:
        """Return the sums of each group, by time and by size; without dimension and bucket one group, of all runs.

        ``bucket`` is in microseconds, and buckets are aligned to 1970. Percentiles of more than ``exact_runs`` runs are
        rounded. Raises TooManyGroups.
        """
        expressions = [*([_begin(bucket)] if bucket else []), *(_GROUPS[by] if by else ())]
        keys = [key.label(f"key_{number}") for number, key in enumerate(expressions)]
        where = [*times(wanted.since, wanted.until), *within(wanted.namespaces)]
        if wanted.namespace is not None:
            where.append(runs.c.namespace == wanted.namespace)
        async with self._database.turn(self._slot), self._database.reading() as connection:
            sums = await _sums(connection, keys, where, has_buckets=bucket is not None)
            is_exact = sum(usage.runs for usage in sums.values()) <= exact_runs
            found = defaultdict[tuple[Any, ...], dict[Measure, tuple[int, int]]](dict)
            for measure in get_args(Measure):
                percentiles = await _percentiles(connection, keys, where, measure, is_exact=is_exact)
                for key, values in percentiles.items():
                    found[key][measure] = values
        usages = [replace(usage, percentiles=found.get(key, {})) for key, usage in sums.items()]
        return sorted(usages, key=lambda usage: (usage.bucket or 0, -usage.runs, [part or "" for part in usage.group]))


async def _sums(
    connection: AsyncConnection, keys: list[Any], where: list[ColumnElement[bool]], *, has_buckets: bool
) -> dict[tuple[Any, ...], Usage]:
    statement = (
        select(
            *keys,
            func.count(),
            func.count(runs.c.ended_at),
            _number(runs.c.phase == "Failed"),
            _number(runs.c.start == "warm"),
            func.count(runs.c.start),
            func.sum(runs.c.input_tokens),
            func.sum(runs.c.output_tokens),
            func.sum(runs.c.cost),
            func.count(runs.c.cost),
        )
        .where(*where)
        .group_by(*keys)
        .limit(MOST_GROUPS + 1)
    )
    found = (await connection.execute(statement)).all()
    if len(found) > MOST_GROUPS:
        raise TooManyGroups
    sums = {}
    for row in found:
        key, numbers = tuple(row[: len(keys)]), [None if value is None else int(value) for value in row[len(keys) :]]
        begin, group = (int(key[0]), key[1:]) if has_buckets else (None, key)
        sums[key] = Usage(begin, group, *numbers)  # type: ignore[arg-type] # counts are never NULL
    return sums


def _begin(bucket: int) -> ColumnElement[Any]:
    """Return the begin of a run's bucket. Its size is part of the statement, because grouping by a parameter is not portable."""
    size = literal_column(str(bucket), BigInteger())
    return (cast(runs.c.created_at, BigInteger()) // size) * size


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Return the number of rows that meet a condition."""
    return func.count().filter(condition)


async def _percentiles(
    connection: AsyncConnection,
    keys: list[Any],
    where: list[ColumnElement[bool]],
    measure: Measure,
    *,
    is_exact: bool,
) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Return p50 and p95 by group, from the numbers of runs per value: those are few, however many runs there are."""
    found = runs.c[measure]
    value = (found if is_exact else _rounded(found)).label("value")
    numbers = (
        select(*keys, value, func.count().label("number"))
        .where(*where, found.is_not(None))
        .group_by(*keys, value)
        .subquery()
    )
    group = [numbers.c[key.name] for key in keys]
    up_to = func.sum(numbers.c.number).over(partition_by=group, order_by=numbers.c.value)
    ranked = select(
        *group,
        numbers.c.value,
        cast(up_to, BigInteger()).label("rank"),
        cast(func.sum(numbers.c.number).over(partition_by=group), BigInteger()).label("number"),
    ).subquery()
    chosen = (
        func.min(ranked.c.value).filter(ranked.c.rank >= (ranked.c.number * percent + 99) // 100)
        for percent in _PERCENTS
    )
    group = [ranked.c[key.name] for key in keys]
    rows = await connection.execute(select(*group, *chosen).group_by(*group))
    return {tuple(row[: len(keys)]): (int(row[-2]), int(row[-1])) for row in rows if row[-1] is not None}


def _rounded(value: ColumnElement[int]) -> ColumnElement[int]:
    """Return a value rounded down to nine binary digits, so that an order of magnitude has 256 values."""
    step = case(*((value < 512 << power, 1 << power) for power in range(26)), else_=1 << 26)
    return cast(value, BigInteger()) - cast(value, BigInteger()) % step
