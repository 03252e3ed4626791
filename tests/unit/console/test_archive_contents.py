"""Contents in the archive: of every ended run once, and of none that must not be stored."""

import json
from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.console.archiver_world import ArchiverWorld, ended, put_parts
from tests.unit.operator.objects import NAMESPACE, run_object, server_run_object

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_NONE, CONTENT_UNREAD
from sympozium_console.archiver import content_loop, run_archive
from sympozium_console.run_index.indexed_rows import UnreadableRow, indexed


async def archived(database: Database, *runs: dict[str, Any]) -> ArchiverWorld:
    world = ArchiverWorld(database)
    for run in runs:
        world.cluster.put(run)
    await world.indexed()
    await world.loop.archive_missing()
    return world


async def test_the_content_of_ended_runs_is_read_once_and_nothing_is_written_to_kubernetes(database: Database) -> None:
    world = await archived(database, *[ended(f"q{number}") for number in range(5)], run_object("open"))
    assert (await world.content("q3"))["answer"] == "Answer of q3"
    assert (await world.row("q3")).content_state == CONTENT_KEPT
    assert (await world.row("open")).content_state == CONTENT_UNREAD
    reads = len(world.cluster.reads)
    await world.loop.archive_missing()
    assert len(world.cluster.reads) == reads
    assert world.cluster.writes == []


async def test_a_run_is_read_as_it_ends(database: Database) -> None:
    world = await archived(database, run_object("q1"))
    world.cluster.put(ended("q1"))
    await world.indexed()
    await world.loop.archive_missing()
    assert (await world.content("q1"))["answer"] == "Answer of q1"


async def test_texts_in_parts_are_joined(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("long"))
    text = "é" * 1_200_000
    put_parts(world, "long", "request", json.dumps({"messages": [{"role": "user", "content": text}]}))
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    put_parts(world, "long", "answer", json.dumps({"choices": [choice]}))
    await world.indexed()
    await world.loop.archive_missing()
    content = await world.content("long")
    assert content["request"]["messages"][0]["content"] == text
    assert content["answer"] == text


async def test_server_runs_are_left_out(database: Database) -> None:
    world = await archived(database, server_run_object())
    assert await world.table() == []


@pytest.mark.parametrize("mark", ["discarded", "store"])
async def test_of_private_runs_only_numbers_are_kept(database: Database, mark: str) -> None:
    run = ended("q1")
    if mark == "discarded":
        run["metadata"]["annotations"] = {names.ANNOTATION_DISCARDED: "true"}
    else:
        run["spec"]["responseText"] = {"json": '{"asked":{"store":false}}'}
    world = await archived(database, run)
    row = await world.row("q1")
    assert (row.is_private, row.content_state, row.input_tokens) == (True, CONTENT_NONE, 7)
    assert await world.content("q1") is None


async def test_a_discard_after_archiving_removes_the_content(database: Database) -> None:
    world = await archived(database, ended("q1"))
    await world.cluster.patch(
        RUNS, NAMESPACE, "q1", {"metadata": {"annotations": {names.ANNOTATION_DISCARDED: "true"}}}
    )
    await world.indexed()
    assert await world.content("q1") is None
    assert (await world.row("q1")).content_state == CONTENT_NONE
    await world.loop.archive_missing()
    assert await world.content("q1") is None


async def test_the_content_of_a_run_that_was_deleted_unread_is_lost_and_counted(database: Database) -> None:
    world = ArchiverWorld(database)
    for name in ("q1", "q2"):
        world.cluster.put(ended(name))
    world.cluster.put(run_object("open"))
    await world.indexed()
    world.cluster.meanwhile("get", RUNS, lambda: world.cluster.remove(RUNS, "q1", NAMESPACE))
    world.cluster.remove(RUNS, "open", NAMESPACE)
    await world.loop.archive_missing()
    await world.indexed()
    await world.loop.count_lost()
    assert world.lost() == 0
    world.clock.advance(60)
    await world.loop.count_lost()
    assert (await world.row("q1")).deleted_at
    assert (await world.row("q1")).phase == "Succeeded"
    row = await world.row("open")
    assert (row.phase, row.error) == ("Failed", "deleted")
    assert world.lost() == 2
    await world.loop.count_lost()
    assert world.lost() == 2


async def test_a_later_run_of_the_same_name_is_not_taken_for_the_one_that_is_gone(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q1"))
    await world.indexed()
    world.cluster.remove(RUNS, "q1", NAMESPACE)
    later = ended("q1", task="Another question")
    later["metadata"]["uid"] = "another"
    world.cluster.put(later)
    await world.loop.archive_missing()
    [gone] = [row for row in await world.table() if row.uid == "uid-of-q1"]
    assert (gone.content_state, bool(gone.deleted_at)) == (CONTENT_UNREAD, True)


async def test_a_run_that_cannot_be_read_now_holds_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_loop, "_PAGE", 2)
    world = ArchiverWorld(database)
    for number in range(6):
        world.cluster.put(ended(f"q{number}", created=number))
    await world.indexed()
    world.cluster.refuse("get", RUNS, api_error(403, "Forbidden"))
    await world.loop.archive_missing()
    states = [row.content_state for row in await world.table()]
    assert sorted(states) == [CONTENT_UNREAD] + [CONTENT_KEPT] * 5
    await world.loop.archive_missing()
    assert {row.content_state for row in await world.table()} == {CONTENT_KEPT}


async def test_a_page_of_runs_that_may_not_be_read_holds_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_loop, "_PAGE", 2)
    world = ArchiverWorld(database)
    for number in range(5):
        world.cluster.put(ended(f"q{number}", created=number))
    await world.indexed()
    world.cluster.documents["/version"] = {}
    world.cluster.refuse("get", RUNS, *[api_error(403, "Forbidden")] * 2)  # of a namespace that the console has lost
    await world.loop.archive_missing()
    states = [row.content_state for row in await world.table()]
    assert sorted(states) == [CONTENT_UNREAD] * 2 + [CONTENT_KEPT] * 3


async def test_a_run_that_has_no_row_holds_up_no_other(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    world = ArchiverWorld(database)
    for name in ("bad", "good"):
        world.cluster.put(ended(name))
    await world.indexed()

    def read(row: Any) -> Any:
        if row["metadata"]["name"] == "bad":
            raise UnreadableRow("team/bad")
        return indexed(row)

    monkeypatch.setattr(run_archive, "indexed", read)
    await world.loop.archive_missing()
    assert [row.content_state for row in await world.table()] == [CONTENT_UNREAD, CONTENT_KEPT]
    world.pass_hours(50)
    await world.pruner.prune()
    assert world.left() == ["bad"]


async def test_while_the_api_server_is_away_nothing_is_given_up(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q1"))
    await world.indexed()
    world.cluster.refuse("get", RUNS, ApiUnavailable("away"))
    await world.loop.archive_missing()
    assert (await world.row("q1")).content_state == CONTENT_UNREAD
    await world.loop.archive_missing()
    assert (await world.row("q1")).content_state == CONTENT_KEPT


async def test_a_run_that_no_model_of_ours_reads_keeps_its_numbers(database: Database) -> None:
    broken = ended("q1")
    broken["spec"]["timeout"] = {"not": "a duration"}
    world = await archived(database, broken, ended("q2"))
    assert ((await world.row("q1")).content_state, (await world.row("q1")).input_tokens) == (CONTENT_NONE, 7)
    assert (await world.row("q2")).content_state == CONTENT_KEPT
    assert world.lost() == 1


async def test_a_content_that_is_on_its_way_while_its_run_is_deleted_is_not_counted_as_lost(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q1"))
    await world.indexed()
    put_all = world.contents.put_all

    async def put_after_the_deletion(contents: Any) -> set[str]:
        world.cluster.remove(RUNS, "q1", NAMESPACE)
        await world.indexed()
        await world.loop.count_lost()
        return await put_all(contents)

    world.contents.put_all = put_after_the_deletion  # type: ignore[method-assign]
    await world.loop.archive_missing()
    world.clock.advance(60)
    await world.loop.count_lost()
    assert ((await world.row("q1")).content_state, world.lost()) == (CONTENT_KEPT, 0)


async def test_an_unreadable_content_is_lost_once_however_often_its_run_changes(database: Database) -> None:
    broken = ended("q1")
    broken["spec"]["timeout"] = {"not": "a duration"}
    world = await archived(database, broken)
    await world.cluster.patch(RUNS, NAMESPACE, "q1", {"metadata": {"labels": {"another": "version"}}})
    world.pass_hours(50)
    await world.pruner.prune()
    assert (world.left(), world.lost()) == ([], 1)


async def test_a_run_that_is_never_readable_is_tried_less_and_less_often(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q1"))
    await world.indexed()
    world.cluster.documents["/version"] = {}
    world.cluster.refuse("get", RUNS, *[api_error(403, "Forbidden")] * 30)
    for _ in range(180):
        await world.loop.archive_missing()
        world.clock.advance(10)
    attempts = world.cluster.reads.count(("get", "agentruns", "q1"))
    assert 10 <= attempts <= 15
    for _ in range(30):
        await world.loop.archive_missing()
        world.clock.advance(10)
    assert world.cluster.reads.count(("get", "agentruns", "q1")) == attempts + 1
