"""Stored usage gives the same sums as the runs, whatever comes, changes and goes, on both databases."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sympozium_archive import usage_rollup
from sympozium_archive.database import Database
from sympozium_archive.retention import AgeLimits, remove_expired
from sympozium_archive.run_costs import Cost, RunCosts
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.tables import runs, usage_spans
from sympozium_archive.times import moment
from sympozium_archive.usage_queries import Usage, UsageFilter, UsageQueries
from sympozium_archive.usage_rollup import DAY, HALF_HOUR, UsageRollup
from sympozium_archive.usage_sums import Dimension, code_of, value_of

BEGIN = 20_000 * DAY
HOUR = 2 * HALF_HOUR
NOW = moment(BEGIN + 3 * DAY + 5 * HOUR)
DIMENSIONS: tuple[Dimension | None, ...] = (None, "instance", "model", "key", "source", "error")
TIMES = (
    UsageFilter(BEGIN, BEGIN + 4 * DAY),
    UsageFilter(BEGIN + HOUR // 3, BEGIN + 3 * DAY + HOUR + 1),
    UsageFilter(BEGIN, BEGIN + 4 * DAY, namespace="team-1"),
    UsageFilter(BEGIN, BEGIN + 4 * DAY, namespaces=("team-0", "team-2")),
    UsageFilter(BEGIN + DAY // 2, BEGIN + DAY // 2 + HALF_HOUR // 2),
)


def some(chance: random.Random, number: int) -> RunRow:
    def maybe(value: int) -> int | None:
        return None if chance.random() < 0.2 else value

    return RunRow(
        f"uid-{number:04}",
        f"team-{number % 3}",
        f"run-{number}",
        BEGIN + chance.randrange(3 * DAY + 5 * HOUR),
        instance=chance.choice(("a", "b", None)),
        model=chance.choice(("m", "n")),
        key_id=chance.choice(("k", None)),
        source=chance.choice(("mcp", "api")),
        phase=chance.choice(("Succeeded", "Failed", "Running")),
        error=chance.choice(("timeout", None)),
        start=chance.choice(("warm", "cold", None)),
        ended_at=maybe(BEGIN),
        input_tokens=maybe(chance.randrange(100)),
        output_tokens=maybe(chance.randrange(100)),
        waiting_ms=maybe(chance.randrange(10 ** chance.randrange(1, 8))),
        duration_ms=maybe(chance.randrange(3000)),
    )


async def answers(database: Database) -> list[list[Usage]]:
    queries = UsageQueries(database)
    asked = [(TIMES[0], by, bucket) for by in DIMENSIONS for bucket in (None, HALF_HOUR)]
    asked += [(times, "model", bucket) for times in TIMES[1:] for bucket in (DAY, HOUR, HALF_HOUR // 2)]
    return [await queries.usage(times, by=by, bucket=bucket) for times, by, bucket in asked]


async def without_stored(database: Database) -> list[list[Usage]]:
    async with database.writing() as connection:
        await connection.execute(usage_spans.delete())
    return await answers(database)


async def whole(database: Database) -> int:
    """The number of half hours and days that are stored."""
    statement = select(usage_spans.c.since).where(usage_spans.c.dimension == "key", usage_spans.c.content.is_not(None))
    async with database.reading() as connection:
        return len((await connection.execute(statement)).all())


async def test_stored_usage_gives_what_the_runs_give(database: Database) -> None:
    chance = random.Random(3)
    await RunRows(database).upsert([some(chance, number) for number in range(150)])
    expected = await answers(database)
    assert await UsageRollup(database).roll(NOW) > 40
    assert await answers(database) == expected
    assert await UsageRollup(database).roll(NOW) == 0


CHANGES: dict[str, Callable[[Database, RunRow], Awaitable[object]]] = {
    "a run that ends": lambda database, row: RunRows(database).upsert([replace(row, phase="Succeeded", duration_ms=9)]),
    "a new run": lambda database, row: RunRows(database).upsert([replace(row, uid="new")]),
    "a run that is gone": lambda database, row: RunRows(database).gone([row.uid], BEGIN),
    "a run that is removed": lambda database, row: RunRows(database).remove([row.uid]),
    "a price": lambda database, row: RunCosts(database).fix([Cost(row.uid, 7, "m")]),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_of_the_past_is_counted_at_once_and_stored_again(database: Database, change: str) -> None:
    chance = random.Random(5)
    rows = [some(chance, number) for number in range(60)]
    rows[7] = replace(rows[7], phase="Running", created_at=BEGIN + DAY, resource_version=None)
    await RunRows(database).upsert(rows)
    stored = await UsageRollup(database).roll(NOW)
    await CHANGES[change](database, rows[7])
    assert await whole(database) == stored - 2
    changed = await answers(database)
    assert await UsageRollup(database).roll(NOW) in (1, 2)  # the half hour may have no runs any more
    assert await answers(database) == changed == await without_stored(database)


async def test_what_changes_no_sum_leaves_what_is_stored(database: Database) -> None:
    chance = random.Random(5)
    rows = [replace(some(chance, number), phase="Succeeded") for number in range(30)]
    await RunRows(database).upsert(rows)
    stored = await UsageRollup(database).roll(NOW)
    await RunRows(database).upsert([replace(row, resource_version="9") for row in rows])
    await RunRows(database).gone([row.uid for row in rows], BEGIN)
    assert await whole(database) == stored


async def test_retention_takes_its_runs_out_of_what_is_stored(database: Database) -> None:
    chance = random.Random(6)
    rows = [replace(some(chance, number), deleted_at=1) for number in range(40)]
    await RunRows(database).upsert(rows)
    await UsageRollup(database).roll(NOW)
    await remove_expired(database, AgeLimits(contents=1, runs=2 * 86_400, audit=1), NOW)
    left = await RunQueries(database).count(RunFilter())
    [usage] = await UsageQueries(database).usage(TIMES[0])
    assert 0 < usage.runs == left < 40


async def test_a_run_that_changes_while_its_day_is_summed_up_is_not_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    rows = [replace(some(chance, number), phase="Running", created_at=BEGIN + number) for number in range(40)]
    await RunRows(database).upsert(rows)
    monkeypatch.setattr(usage_rollup, "_ROWS", 4)
    changes = asyncio.create_task(_end_one_by_one(database, rows))
    while not changes.done():
        await UsageRollup(database).roll(NOW)
    await changes
    await UsageRollup(database).roll(NOW)
    [usage] = await UsageQueries(database).usage(TIMES[0])
    assert (usage.runs, usage.percentiles["first_token_ms"]) == (40, (3, 3))
    assert await answers(database) == await without_stored(database)


async def _end_one_by_one(database: Database, rows: list[RunRow]) -> None:
    for row in rows:
        await RunRows(database).upsert([replace(row, phase="Succeeded", first_token_ms=3)])


async def test_half_hours_of_a_week_ago_go(database: Database) -> None:
    await RunRows(database).upsert([replace(some(random.Random(8), 1), created_at=BEGIN)])
    assert await UsageRollup(database).roll(NOW) == 2
    assert await UsageRollup(database).roll(moment(BEGIN + 12 * DAY)) == 0
    assert await whole(database) == 1


async def test_months_are_read_from_stored_days_alone(database: Database) -> None:
    rows = (RunRow(f"u{day:03}", "default", "run", created_at=BEGIN + day * DAY) for day in range(60))
    await RunRows(database).upsert(rows)
    await UsageRollup(database).roll(moment(BEGIN + 60 * DAY + HOUR))
    statements: list[str] = []
    engine: AsyncEngine = database._engine
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    [usage] = await UsageQueries(database).usage(UsageFilter(BEGIN, BEGIN + 60 * DAY))
    assert usage.runs == 60
    assert [statement for statement in statements if "FROM runs" in statement] == []


def test_codes_grow_with_values_and_stay_below_them_by_less_than_their_bound() -> None:
    values = [*range(3000), *(int(1.01**power) for power in range(800, 2400))]
    codes = [code_of(value) for value in sorted(values)]
    assert codes == sorted(codes)
    for value in values:
        assert value * (1 - 1 / 256) <= value_of(code_of(value)) <= value
        assert value >= 512 or value_of(value) == value


async def test_the_oldest_half_hour_is_stored_once(database: Database) -> None:
    await RunRows(database).upsert([replace(some(random.Random(8), 1), created_at=BEGIN + HALF_HOUR * 2 // 3)])
    now = moment(BEGIN + 8 * DAY + HALF_HOUR // 3 + 600_000_000)
    assert await UsageRollup(database).roll(now) == 2
    assert await UsageRollup(database).roll(now) == 0


async def test_a_day_that_loses_runs_all_day_long_is_stored_again_after_a_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_rollup, "_REST", 0)
    chance, seconds = random.Random(8), [0.0]

    def clock() -> float:
        seconds[0] += 0.5  # so storing a time takes this long
        return seconds[0]

    rows = [replace(some(chance, number), created_at=BEGIN) for number in range(3)]
    await RunRows(database).upsert(rows)
    rollup = UsageRollup(database, clock=clock)
    assert await rollup.roll(NOW) == 2
    for removed in (0, 1):
        await RunRows(database).remove([rows[removed].uid])
        assert await rollup.roll(NOW) == 0
        assert await answers(database) == await without_stored(database)
        seconds[0] += 11
        assert await rollup.roll(NOW) == 2
        assert await whole(database) == 2


@pytest.mark.parametrize("database_settings", ["postgresql"], indirect=True)
async def test_what_a_second_writer_has_begun_again_is_not_stored_by_the_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = replace(some(random.Random(8), 1), phase="Running", created_at=BEGIN)
    await RunRows(database).upsert([row])
    spans = [(DAY, BEGIN)]
    await UsageRollup(database)._begin(spans)
    in_thread = asyncio.to_thread
    changes = iter(["once"])

    async def after_a_change(*call: Any) -> Any:
        if next(changes, None):
            await RunRows(database).upsert([replace(row, phase="Succeeded", first_token_ms=3)])
            await UsageRollup(database)._begin(spans)
        return await in_thread(*call)

    monkeypatch.setattr(asyncio, "to_thread", after_a_change)
    await UsageRollup(database)._store(spans[0])
    monkeypatch.undo()
    assert await answers(database) == await without_stored(database)


@pytest.mark.parametrize("database_settings", ["postgresql"], indirect=True)
async def test_changes_of_two_stored_days_do_not_wait_for_each_other(database: Database) -> None:
    rows = [replace(some(random.Random(8), number), created_at=BEGIN + number % 2 * DAY) for number in range(4)]
    await RunRows(database).upsert(rows)
    await UsageRollup(database).roll(NOW)

    async def change(connection: AsyncConnection, number: int) -> None:
        await connection.execute(runs.update().where(runs.c.uid == rows[number].uid).values(input_tokens=1000))

    async with asyncio.timeout(60), database.writing() as one, database.writing() as other:
        await change(one, 0)
        await change(other, 1)
        await asyncio.gather(change(one, 3), change(other, 2))
    assert await whole(database) == 0
    assert await answers(database) == await without_stored(database)


@pytest.mark.parametrize("database_settings", ["postgresql"], indirect=True)
async def test_storing_waits_for_no_change_that_may_wait_for_it(database: Database) -> None:
    row = replace(some(random.Random(8), 1), phase="Running", created_at=BEGIN)
    await RunRows(database).upsert([row])
    await UsageRollup(database)._begin([(DAY, BEGIN)])
    async with database.writing() as changing, asyncio.timeout(60):
        await changing.execute(usage_spans.delete().where(usage_spans.c.dimension == "source"))
        await UsageRollup(database)._store((DAY, BEGIN))
        await changing.execute(usage_spans.delete())
    assert await whole(database) == 0
