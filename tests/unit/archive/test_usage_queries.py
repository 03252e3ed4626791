"""Sums and percentiles of runs, on both databases."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from sympozium_archive import usage_queries
from sympozium_archive.database import Database
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.usage_queries import TooManyGroups, Usage, UsageFilter, UsageQueries
from sympozium_archive.usage_sums import Dimension

SECOND = 1_000_000
HOUR = 3600 * SECOND
BEGIN = 497_222 * HOUR
DAY = UsageFilter(BEGIN, BEGIN + 24 * HOUR)


def run(number: int, **known: Any) -> RunRow:
    row = RunRow(
        f"uid-{number:03}", "default", f"run-{number}", BEGIN + number * SECOND, instance="a", phase="Succeeded"
    )
    return replace(row, **known)


async def test_runs_tokens_and_starts_are_summed_up(database: Database) -> None:
    await RunRows(database).upsert(
        [
            run(1, start="warm", input_tokens=2, output_tokens=3, ended_at=BEGIN),
            run(2, start="cold", input_tokens=5, ended_at=BEGIN),
            run(3, phase="Failed", start="warm", ended_at=BEGIN),
            run(4, phase="Running"),
            run(5, created_at=BEGIN + 24 * HOUR),
        ]
    )
    [usage] = await UsageQueries(database).usage(DAY)
    assert usage == Usage(None, (), runs=4, ended=3, failed=1, warm=2, started=3, input_tokens=7, output_tokens=3)


async def test_no_runs_are_no_tokens(database: Database) -> None:
    assert await UsageQueries(database).counts_since() is None
    [usage] = await UsageQueries(database).usage(DAY)
    assert (usage.runs, usage.input_tokens, usage.percentiles) == (0, None, {})
    assert await UsageQueries(database).usage(DAY, by="model") == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7], (7, 7)),
        ([1, 2], (1, 2)),
        ([3, 1, 2], (2, 3)),
        (list(range(1, 101)), (50, 95)),
        ([5] * 9 + [900], (5, 900)),
    ],
)
async def test_percentiles_are_values_of_runs(database: Database, values: list[int], expected: tuple[int, int]) -> None:
    rows = [run(number, waiting_ms=value) for number, value in enumerate(values)]
    await RunRows(database).upsert([*rows, run(999, first_token_ms=4)])
    [usage] = await UsageQueries(database).usage(DAY)
    assert usage.percentiles == {"waiting_ms": expected, "first_token_ms": (4, 4)}


async def test_percentiles_of_many_runs_are_rounded_down_by_less_than_their_bound(
    database: Database,
) -> None:
    chance = random.Random(1)
    values = [0, 1, 511, 512, 513, 10**10, *(int(2 ** chance.uniform(0, 33)) for _ in range(300))]
    await RunRows(database).upsert(
        [run(number, model=f"m{number}", duration_ms=value) for number, value in enumerate(values)]
    )
    for usage in await UsageQueries(database).usage(DAY, by="model"):
        [model] = usage.group
        value = values[int(str(model)[1:])]
        p50, p95 = usage.percentiles["duration_ms"]
        assert p50 == p95
        assert value * (1 - 1 / 256) < p50 <= value or p50 == value == 0
        assert value > 512 or p50 == value
    [usage] = await UsageQueries(database).usage(DAY)
    values.sort()
    for found, percent in zip(usage.percentiles["duration_ms"], (50, 95), strict=True):
        exact = values[(len(values) * percent + 99) // 100 - 1]
        assert exact * (1 - 1 / 256) < found <= exact


async def test_groups_are_by_dimension_and_time(database: Database) -> None:
    await RunRows(database).upsert(
        [
            run(1, key_id="ci", duration_ms=10),
            run(2, key_id="ci", duration_ms=30),
            run(3, duration_ms=5),
            run(4, key_id="ci", created_at=BEGIN + HOUR + 1),
        ]
    )
    found = await UsageQueries(database).usage(DAY, by="key", bucket=HOUR)
    assert [(usage.bucket, usage.group, usage.runs, usage.percentiles) for usage in found] == [
        (BEGIN, ("ci",), 2, {"duration_ms": (10, 30)}),
        (BEGIN, (None,), 1, {"duration_ms": (5, 5)}),
        (BEGIN + HOUR, ("ci",), 1, {}),
    ]


@pytest.mark.parametrize(("by", "column"), [("model", "model"), ("source", "source"), ("error", "error")])
async def test_each_dimension_groups_by_its_column(database: Database, by: Dimension, column: str) -> None:
    await RunRows(database).upsert([run(1, **{column: "x"}), run(2, **{column: "y"}), run(3, **{column: "x"})])
    found = await UsageQueries(database).usage(DAY, by=by)
    assert [(usage.group, usage.runs) for usage in found] == [(("x",), 2), (("y",), 1)]


async def test_instances_of_the_same_name_are_told_apart_by_namespace(database: Database) -> None:
    await RunRows(database).upsert([run(1), run(2, namespace="team")])
    found = await UsageQueries(database).usage(DAY, by="instance")
    assert [usage.group for usage in found] == [("default", "a"), ("team", "a")]
    [usage] = await UsageQueries(database).usage(replace(DAY, namespace="team"))
    assert usage.runs == 1


async def test_too_many_groups_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_queries, "MOST_GROUPS", 2)
    await RunRows(database).upsert(run(number, model=f"m{number}") for number in range(3))
    with pytest.raises(TooManyGroups):
        await UsageQueries(database).usage(DAY, by="model")


async def test_it_counts_since_the_oldest_run(database: Database) -> None:
    await RunRows(database).upsert([run(5), run(3), run(9)])
    assert await UsageQueries(database).counts_since() == BEGIN + 3 * SECOND


async def test_one_is_read_at_a_time_however_many_ask(database: Database) -> None:
    queries, most = UsageQueries(database), 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, database.pool_in_use)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(queries.usage(DAY) for _ in range(8)))
    watching.cancel()
    assert most == 1
