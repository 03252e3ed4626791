"""Lists and counts of runs, on both databases."""

from dataclasses import replace
from typing import Any

import pytest

from sympozium_archive.database import Database
from sympozium_archive.run_queries import InvalidCursor, RunCount, RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow, RunRows

SECOND = 1_000_000
BEGIN = 1_790_000_000 * SECOND


def run(number: int, **known: Any) -> RunRow:
    row = RunRow(f"uid-{number:03}", "default", f"run-{number:03}", BEGIN + number * SECOND, phase="Succeeded")
    return replace(row, **known)


@pytest.fixture
def queries(database: Database) -> RunQueries:
    return RunQueries(database)


async def names(queries: RunQueries, wanted: RunFilter = RunFilter(), limit: int = 100) -> list[str]:  # noqa: B008 - it is frozen
    return [row.name for row in (await queries.newest(wanted, limit=limit)).rows]


async def test_pages_are_right_while_runs_come_and_go(database: Database, queries: RunQueries) -> None:
    rows = RunRows(database)
    await rows.upsert(run(number) for number in range(10, 16))
    first = await queries.newest(RunFilter(), limit=2)
    await rows.upsert([run(99), run(1)])  # a new one, and one that was accepted before all others
    await rows.gone(["uid-014"], BEGIN)
    await rows.gone(["uid-012"], BEGIN)
    second = await queries.newest(RunFilter(), limit=2, before=first.before)
    third = await queries.newest(RunFilter(), limit=2, before=second.before)
    pages = [[row.name for row in page.rows] for page in (first, second, third)]
    assert pages == [["run-015", "run-014"], ["run-013", "run-011"], ["run-010", "run-001"]]
    assert third.before is None


async def test_runs_of_one_moment_are_each_in_one_page(database: Database, queries: RunQueries) -> None:
    await RunRows(database).upsert(replace(run(number), created_at=BEGIN) for number in range(7))
    found, before = list[str](), None
    while not found or before:
        page = await queries.newest(RunFilter(), limit=2, before=before)
        found, before = found + [row.name for row in page.rows], page.before
    assert found == [f"run-{number:03}" for number in reversed(range(7))]


@pytest.mark.parametrize("cursor", ["", ".", "1", "1.", ".a", "-1.a", "1" * 30 + ".a", "x.a", "\u0661.a"])
async def test_a_cursor_that_is_none_is_refused(queries: RunQueries, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await queries.newest(RunFilter(), limit=1, before=cursor)


CHOICES: dict[str, tuple[str, str]] = {
    "namespace": ("namespace", "team"),
    "instance": ("instance", "demo"),
    "phase": ("phase", "Failed"),
    "source": ("source", "mcp"),
    "start": ("start", "warm"),
    "error": ("error", "timeout"),
    "key": ("key_id", "api-key-ci"),
    "session": ("session", "s-1"),
    "user": ("user", "ada"),
}


@pytest.mark.parametrize("choice", CHOICES)
async def test_each_filter_selects_what_lists_counts_and_history_show(
    database: Database, queries: RunQueries, choice: str
) -> None:
    column, value = CHOICES[choice]
    await RunRows(database).upsert([run(1, **{column: value}), run(2), run(3, **{column: f"{value}x"})])
    wanted = RunFilter(**{choice: value})  # type: ignore[arg-type] # none of them is a time
    assert await names(queries, wanted) == ["run-001"]
    assert [count.runs for count in await queries.counts(wanted)] == [1]
    assert [row.name for row in await queries.history(wanted, limit=9, offset=0)] == ["run-001"]
    both = replace(wanted, namespace="elsewhere")
    assert await names(queries, both) == []


async def test_times_select_from_a_moment_to_before_another(database: Database, queries: RunQueries) -> None:
    await RunRows(database).upsert(run(number) for number in range(5))
    wanted = RunFilter(since=BEGIN + SECOND, until=BEGIN + 3 * SECOND)
    assert await names(queries, wanted) == ["run-002", "run-001"]
    assert sum(count.runs for count in await queries.counts(wanted)) == 2


async def test_a_run_that_is_gone_is_history_alone(database: Database, queries: RunQueries) -> None:
    rows = RunRows(database)
    await rows.upsert([run(1), run(2)])
    await rows.gone(["uid-001"], BEGIN)
    assert await names(queries) == ["run-002"]
    assert sum(count.runs for count in await queries.counts(RunFilter())) == 1
    assert [row.name for row in await queries.history(RunFilter(), limit=9, offset=0)] == ["run-002", "run-001"]
    assert [row.name for row in await queries.history(RunFilter(), limit=9, offset=1)] == ["run-001"]
    found = await queries.run("uid-001")
    assert found is not None
    assert found.deleted_at == BEGIN
    assert await queries.run("uid-404") is None


async def test_counts_are_per_instance_and_phase(database: Database, queries: RunQueries) -> None:
    await RunRows(database).upsert(
        [
            run(1, instance="b"),
            run(2, instance="a", phase="Failed"),
            run(3, instance="a"),
            run(4, instance="a"),
            run(5, instance="a", namespace="team"),
        ]
    )
    assert await queries.counts(RunFilter()) == [
        RunCount("default", "a", "Failed", 1),
        RunCount("default", "a", "Succeeded", 2),
        RunCount("default", "b", "Succeeded", 1),
        RunCount("team", "a", "Succeeded", 1),
    ]
