"""Contents of runs: stored as they are, whatever a tenant wrote, and never of a run that is private."""

import asyncio
import dataclasses
import random
import tracemalloc
from typing import Any

import pytest
from tests.databases import content_of

from sympozium_archive.database import Database
from sympozium_archive.run_contents import PART_BYTES, PIECE_BYTES, Contents, packed
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_NONE
from sympozium_archive.unavailable import DatabaseUnavailable

ROW = RunRow(uid="u1", namespace="team-a", name="run-1", created_at=1, phase="Succeeded")
CONTENT = {"request": {"messages": [{"role": "user", "content": "Hi"}]}, "answer": "Hello"}


async def state(database: Database) -> int:
    return (await RunRows(database).committed(["u1"]))["u1"].content_state


@pytest.mark.parametrize(
    "content",
    [
        CONTENT,
        {},
        {"answer": "NUL \x00, half \ud83d, whole \U0001f600", "steps": [{"args": "\\u0000"}]},
        {"answer": "ü" * 4_000_000, "number": 10**40, "float": 0.1},
    ],
    ids=["usual", "empty", "odd", "large"],
)
async def test_a_content_is_read_as_it_was_stored(database: Database, content: dict[str, Any]) -> None:
    await RunRows(database).upsert([ROW])
    contents = Contents(database)
    assert await content_of(database, "u1") is None
    assert await contents.put("u1", content)
    assert await content_of(database, "u1") == content
    assert await state(database) == CONTENT_KEPT
    assert await contents.put("u1", CONTENT)
    assert await content_of(database, "u1") == CONTENT


async def test_a_run_without_a_row_has_no_content(database: Database) -> None:
    assert not await Contents(database).put("unknown", CONTENT)


async def test_a_private_run_never_gets_a_content(database: Database) -> None:
    await RunRows(database).upsert([dataclasses.replace(ROW, is_private=True)])
    assert not await Contents(database).put("u1", CONTENT)
    assert await content_of(database, "u1") is None
    assert await state(database) == CONTENT_NONE


async def test_a_later_discard_removes_the_content(database: Database) -> None:
    rows, contents = RunRows(database), Contents(database)
    await rows.upsert([ROW])
    await contents.put("u1", CONTENT)
    await rows.upsert([dataclasses.replace(ROW, is_private=True)])
    assert await content_of(database, "u1") is None
    assert not await contents.put("u1", CONTENT)
    assert await state(database) == CONTENT_NONE


async def test_a_discard_while_the_content_is_stored_wins(database: Database) -> None:
    rows, contents = RunRows(database), Contents(database)
    uids = [f"u{number}" for number in range(20)]
    await rows.upsert(dataclasses.replace(ROW, uid=uid) for uid in uids)
    private = [dataclasses.replace(ROW, uid=uid, is_private=True) for uid in uids]
    await asyncio.gather(*(contents.put(uid, CONTENT) for uid in uids), *(rows.upsert([row]) for row in private))
    assert [await content_of(database, uid) for uid in uids] == [None] * 20


async def test_a_removed_content_is_not_read_again(database: Database) -> None:
    rows, contents = RunRows(database), Contents(database)
    await rows.upsert([ROW])
    assert await rows.missing_content(10) == [ROW]
    assert await contents.remove("u1")
    assert await rows.missing_content(10) == []
    assert not await contents.remove("u1")
    assert not await contents.remove("unknown")


async def test_an_upsert_keeps_what_is_known_of_the_content(database: Database) -> None:
    rows, contents = RunRows(database), Contents(database)
    await rows.upsert([ROW])
    await contents.put("u1", CONTENT)
    await rows.upsert([dataclasses.replace(ROW, resource_version="9")])
    assert await state(database) == CONTENT_KEPT
    await rows.remove(["u1"])
    assert await content_of(database, "u1") is None


async def test_the_unread_contents_of_runs_that_are_gone_are_lost_once(database: Database) -> None:
    rows, contents = RunRows(database), Contents(database)
    await rows.upsert([dataclasses.replace(ROW, uid=uid) for uid in ("read", "unread", "here")])
    await contents.put("read", {"answer": "A"})
    await rows.gone(["read", "unread"], 5)
    assert [await contents.give_up_gone(until) for until in (4, 5, 6)] == [0, 1, 0]
    assert await content_of(database, "read") == {"answer": "A"}
    states = await rows.committed(["read", "unread", "here"])
    assert [states[uid].content_state for uid in ("read", "unread", "here")] == [1, 2, 0]


async def test_many_contents_are_stored_at_once_but_none_of_a_private_run(database: Database) -> None:
    rows, contents = RunRows(database), Contents(database)
    await rows.upsert([dataclasses.replace(ROW, uid=f"u{number}", is_private=number == 1) for number in range(60)])
    given = [await packed(f"u{number}", {"answer": str(number)}) for number in range(61)]
    assert len(await contents.put_all(given)) == 59
    assert await contents.put_all(given[:1]) == {"u0"}
    assert [await content_of(database, f"u{number}") for number in (0, 1, 59, 60)] == [
        {"answer": "0"},
        None,
        {"answer": "59"},
        None,
    ]
    assert await contents.put_all([]) == set()


async def test_readers_of_long_contents_hold_little_of_them(database: Database) -> None:
    await RunRows(database).upsert([ROW])
    await Contents(database).put("u1", {"answer": random.Random(1).randbytes(6_000_000).hex()})
    opened = [content for _ in range(20) if (content := await Contents(database).open("u1"))]
    tracemalloc.start()
    longest = 0
    for _ in range(60):
        longest = max([longest, *[len(await anext(content.pieces)) for content in opened]])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert longest <= PIECE_BYTES
    assert peak < 20 * 4 * PART_BYTES


async def test_a_content_that_is_replaced_while_it_is_read_is_not_mixed(database: Database) -> None:
    await RunRows(database).upsert([ROW])
    contents = Contents(database)
    await contents.put("u1", {"answer": random.Random(1).randbytes(1_000_000).hex()})
    content = await contents.open("u1")
    assert content
    await contents.put("u1", CONTENT)
    with pytest.raises(DatabaseUnavailable):
        async for _ in content.pieces:
            pass
