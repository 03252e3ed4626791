"""Rows of runs: whoever saw a run, in any order and any number of times, the table has it once and right."""

import asyncio
import dataclasses
from itertools import permutations

import pytest
from sqlalchemy import select

from sympozium_archive.database import Database
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_rows import Committed, RunRow, RunRows, run_row
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_NONE, CONTENT_UNREAD, runs

SECOND = 1_000_000

CREATED = RunRow(
    uid="u1", namespace="team-a", name="run-1", created_at=10 * SECOND, resource_version="9", phase="Pending"
)
RUNNING = dataclasses.replace(CREATED, phase="Running", resource_version="10", started_at=11 * SECOND, instance="coder")
ENDED = dataclasses.replace(
    RUNNING, phase="Failed", error="timeout", resource_version="100", ended_at=20 * SECOND, input_tokens=7, start="cold"
)


async def stored(database: Database) -> list[RunRow]:
    async with database.reading() as connection:
        found = await connection.execute(select(runs).order_by(runs.c.uid))
        return [run_row(row) for row in found.mappings()]


async def test_a_run_has_one_row_whatever_the_order_of_its_states(database: Database) -> None:
    rows = RunRows(database)
    for number, states in enumerate(permutations([CREATED, RUNNING, ENDED])):
        for state in states:
            await rows.upsert([dataclasses.replace(state, uid=f"u{number}")])
    assert await stored(database) == [dataclasses.replace(ENDED, uid=f"u{number}") for number in range(6)]


async def test_a_batch_may_have_several_states_of_a_run(database: Database) -> None:
    rows = RunRows(database)
    other = dataclasses.replace(CREATED, uid="u2")
    await rows.upsert([RUNNING, ENDED, other, CREATED])
    assert await stored(database) == [ENDED, other]


async def test_an_ended_run_is_not_opened_again_by_a_newer_version(database: Database) -> None:
    rows = RunRows(database)
    await rows.upsert([ENDED])
    await rows.upsert([dataclasses.replace(RUNNING, resource_version="101", phase="Running")])
    [row] = await stored(database)
    assert (row.phase, row.error) == ("Failed", "timeout")


async def test_what_is_known_is_never_replaced_by_nothing(database: Database) -> None:
    """An older CRD lacks columns, so what one reader knows another does not."""
    rows = RunRows(database)
    await rows.upsert([ENDED])
    await rows.upsert([dataclasses.replace(CREATED, phase="Failed", resource_version="101")])
    assert await stored(database) == [dataclasses.replace(ENDED, resource_version="101")]


async def test_a_run_that_goes_before_its_end_is_failed_and_deleted(database: Database) -> None:
    rows = RunRows(database)
    await rows.upsert([RUNNING, dataclasses.replace(ENDED, uid="u2")])
    await rows.gone(["u1", "u2", "unknown"], at=30 * SECOND)
    assert await stored(database) == [
        dataclasses.replace(RUNNING, phase="Failed", error="deleted", ended_at=30 * SECOND, deleted_at=30 * SECOND),
        dataclasses.replace(ENDED, uid="u2", deleted_at=30 * SECOND),
    ]


async def test_the_end_of_a_run_counts_that_was_read_after_its_deletion(database: Database) -> None:
    rows = RunRows(database)
    await rows.upsert([RUNNING])
    await rows.gone(["u1"], at=30 * SECOND)
    await rows.upsert([dataclasses.replace(ENDED, phase="Succeeded", error=None)])
    [row] = await stored(database)
    assert (row.phase, row.error, row.ended_at, row.deleted_at) == ("Succeeded", None, 20 * SECOND, 30 * SECOND)


async def test_a_run_stays_private(database: Database) -> None:
    rows = RunRows(database)
    await rows.upsert([dataclasses.replace(RUNNING, is_private=True)])
    await rows.upsert([ENDED])
    [row] = await stored(database)
    assert (row.is_private, row.content_state, row.phase) == (True, CONTENT_NONE, "Failed")


async def test_runs_whose_content_was_not_read_are_found(database: Database) -> None:
    rows = RunRows(database)
    later = dataclasses.replace(ENDED, uid="later", created_at=11 * SECOND)
    private = dataclasses.replace(ENDED, uid="private", is_private=True)
    gone = dataclasses.replace(ENDED, uid="gone")
    await rows.upsert([later, private, gone, dataclasses.replace(RUNNING, uid="open"), ENDED])
    await rows.gone(["gone"], at=30 * SECOND)
    assert await rows.missing_content(10) == [ENDED, later]
    assert await rows.missing_content(1) == [ENDED]
    assert await rows.missing_content(1, after=ENDED) == [later]
    assert await rows.missing_content(1, after=later) == []


async def test_what_is_committed_of_runs_is_told_at_its_version(database: Database) -> None:
    rows = RunRows(database)
    await rows.upsert([ENDED, dataclasses.replace(RUNNING, uid="u2", is_private=True)])
    many = {f"unknown-{number}" for number in range(1200)}
    assert await rows.committed({"u1", "u2"} | many) == {
        "u1": Committed("100", is_ended=True, content_state=CONTENT_UNREAD),
        "u2": Committed("10", is_ended=False, content_state=CONTENT_NONE),
    }


async def test_rows_can_be_removed(database: Database) -> None:
    rows = RunRows(database)
    await rows.upsert([ENDED, dataclasses.replace(RUNNING, uid="u2")])
    await rows.remove(["u2", "unknown"])
    assert await stored(database) == [ENDED]


async def test_a_list_tells_which_runs_are_gone_but_not_those_newer_than_itself(database: Database) -> None:
    rows = RunRows(database)
    newer = dataclasses.replace(CREATED, uid="newer", resource_version="1000")
    elsewhere = dataclasses.replace(CREATED, uid="elsewhere", namespace="team-b")
    await rows.upsert([CREATED, newer, elsewhere, dataclasses.replace(CREATED, uid="present")])
    assert await rows.uids_not_in({"present"}, "999") == ["elsewhere", "u1"]
    assert await rows.uids_not_in({"present"}, "999", namespace="team-a") == ["u1"]
    await rows.gone(["u1"], at=30 * SECOND)
    assert await rows.uids_not_in({"present"}, "999") == ["elsewhere"]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a\x00b\ud800c", "a\ufffdb\ufffdc"),
        ("ü" * 1_000_000, "ü" * 256),
        ("%_'\\; DROP TABLE runs", None),
        ("😀", None),
    ],
    ids=["unstorable", "long", "sql", "emoji"],
)
async def test_any_text_of_a_tenant_is_stored(database: Database, written: str, kept: str | None) -> None:
    rows = RunRows(database)
    await rows.upsert([dataclasses.replace(ENDED, model=written, error=written, session=written, uid=written)])
    [row] = await stored(database)
    assert (row.model, row.error, row.session, row.uid) == ((kept or written,) * 4)


@pytest.mark.parametrize(
    ("written", "kept"), [(-1, 0), (2**70, 10**10), (10**10, 10**10)], ids=["negative", "huge", "large"]
)
async def test_any_number_of_a_tenant_is_stored(database: Database, written: int, kept: int) -> None:
    rows = RunRows(database)
    await rows.upsert([dataclasses.replace(ENDED, input_tokens=written, duration_ms=written)])
    [row] = await stored(database)
    assert (row.input_tokens, row.duration_ms) == (kept, kept)


@pytest.mark.parametrize("version", ["", "abc", "-1", "9" * 40, "٣"])
async def test_a_version_that_is_no_number_counts_as_the_oldest(database: Database, version: str) -> None:
    rows = RunRows(database)
    await rows.upsert([dataclasses.replace(RUNNING, resource_version=version)])
    await rows.upsert([ENDED])
    assert await stored(database) == [ENDED]


async def test_two_writers_at_once_lose_nothing(database: Database) -> None:
    """Every order of states, from four writers at the same time, as of two replicas and their archivers."""
    rows = RunRows(database)
    uids = [f"u{number:03}" for number in range(40)]
    states = {
        "created": [dataclasses.replace(CREATED, uid=uid) for uid in uids],
        "running": [dataclasses.replace(RUNNING, uid=uid) for uid in reversed(uids)],
        "ended": [dataclasses.replace(ENDED, uid=uid) for uid in uids[::2] + uids[1::2]],
    }
    await asyncio.gather(*(rows.upsert(batch) for batch in [*states.values(), states["running"]]))
    assert await stored(database) == [dataclasses.replace(ENDED, uid=uid) for uid in uids]


async def test_a_list_brings_back_what_was_taken_for_gone_but_not_what_was_deleted_since(database: Database) -> None:
    rows, contents = RunRows(database), Contents(database)
    private = dataclasses.replace(ENDED, uid="u3", is_private=True)
    shown = [RUNNING, dataclasses.replace(ENDED, uid="u2"), private, dataclasses.replace(ENDED, uid="u4")]
    await rows.upsert(shown)
    await contents.put("u4", {"answer": "A"})
    await rows.gone([row.uid for row in shown], at=30 * SECOND)
    await contents.give_up_gone(30 * SECOND)
    await rows.upsert(shown, list_version="99")
    assert [row.deleted_at for row in await stored(database)] == [None] + [30 * SECOND] * 3
    await rows.upsert(shown, list_version="100")
    assert await stored(database) == [
        *shown[:2],
        dataclasses.replace(private, content_state=CONTENT_NONE),
        dataclasses.replace(shown[3], content_state=CONTENT_KEPT),
    ]
    assert [row.uid for row in await rows.missing_content(9)] == ["u2"]


async def test_runs_of_other_namespaces_are_told(database: Database) -> None:
    rows = RunRows(database)
    await rows.upsert(dataclasses.replace(CREATED, uid=uid, namespace=uid) for uid in ("a", "b", "c"))
    await rows.gone(["c"], at=30 * SECOND)
    assert await rows.uids_outside(["a"]) == ["b"]
