"""Deletions that callers ask for, with an archive: nothing goes unarchived, and a restart continues what was begun."""

import asyncio
from typing import Any

import pytest
from tests.unit.console.archiver_world import ArchiverWorld, Killed, Killer, ended
from tests.unit.operator.objects import NAMESPACE, instance_object, run_object, server_run_object

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_KEPT
from sympozium_archive.unavailable import DatabaseUnavailable

OWNER = {"apiVersion": names.API_VERSION, "kind": "SympoziumInstance", "name": "alice", "uid": "uid-of-alice"}


def owned(run: Object) -> Object:
    run["metadata"]["ownerReferences"] = [OWNER]
    return run


def deleting(world: ArchiverWorld) -> Object:
    """Put an instance whose deletion was just asked for."""
    instance = instance_object()
    instance["metadata"]["labels"] = {names.LABEL_DELETING: str(int(world.clock.now().timestamp()))}
    world.cluster.put(instance)
    return world.cluster.object(INSTANCES, "alice", NAMESPACE)


def end_when_cancelled(world: ArchiverWorld) -> None:
    """Do what the operator does with cancelled runs, while time passes."""
    sleep = world.sleep

    async def slept(seconds: float) -> None:
        await sleep(seconds)
        for name in world.cluster.names(RUNS):
            run = world.cluster.object(RUNS, name, NAMESPACE)
            if run["spec"].get("cancel") and not run["status"]:
                world.cluster.put(run | {"status": {"phase": "Cancelled", "completedAt": "2026-01-01T00:00:40Z"}})

    world.sleep = slept  # type: ignore[method-assign]
    world.restarted()


async def test_a_run_that_has_ended_is_archived_and_deleted(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q1"))
    await world.deletion.delete(NAMESPACE, "q1")
    assert world.left() == []
    assert (await world.content("q1"))["answer"] == "Answer of q1"


async def test_a_run_that_goes_on_is_archived_as_cancelled(database: Database) -> None:
    world = ArchiverWorld(database)
    end_when_cancelled(world)
    world.cluster.put(run_object("q1"))
    await world.deletion.delete(NAMESPACE, "q1")
    assert world.left() == []
    row = await world.row("q1")
    assert (row.phase, bool(row.ended_at)) == ("Cancelled", True)
    assert (await world.content("q1"))["request"]["messages"][0]["content"] == "hello"
    assert world.slept <= 1


async def test_a_run_that_nobody_ends_is_archived_as_cancelled_all_the_same(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(run_object("q1"))
    await world.deletion.delete(NAMESPACE, "q1")
    row = await world.row("q1")
    assert (world.left(), row.phase, row.error) == ([], "Cancelled", "cancelled")
    assert world.slept == 5


async def test_a_run_that_ends_just_before_its_deletion_is_archived_as_it_ended(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(run_object("q1"))
    world.cluster.meanwhile("delete", RUNS, lambda: world.cluster.put(ended("q1")))
    await world.deletion.delete(NAMESPACE, "q1")
    assert (world.left(), (await world.row("q1")).phase) == ([], "Succeeded")
    assert (await world.content("q1"))["answer"] == "Answer of q1"


async def test_an_unknown_run_is_not_found_and_a_server_run_leaves_no_row(database: Database) -> None:
    world = ArchiverWorld(database)
    with pytest.raises(ApiError) as refusal:
        await world.deletion.delete(NAMESPACE, "q1")
    assert refusal.value.not_found
    server = server_run_object()
    world.cluster.put(server)
    await world.deletion.delete(NAMESPACE, server["metadata"]["name"])
    assert (world.left(), await world.table()) == ([], [])


async def test_while_the_database_is_away_a_run_stays(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q1"))

    async def away(_: Any) -> None:
        raise DatabaseUnavailable("unreachable", "test")

    world.rows.upsert = away  # type: ignore[method-assign,assignment]
    with pytest.raises(DatabaseUnavailable):
        await world.deletion.delete(NAMESPACE, "q1")
    assert world.left() == ["q1"]


async def test_an_instance_goes_once_its_runs_have_ended_and_are_archived(database: Database) -> None:
    world = ArchiverWorld(database)

    async def ends(_: float) -> None:
        world.cluster.put(owned(ended("open")))

    world.sleep = ends  # type: ignore[method-assign,assignment]
    world.restarted()
    instance = deleting(world)
    for run in (ended("q1"), ended("q2"), run_object("open")):
        world.cluster.put(owned(run))
    assert await world.deletions.begin(instance, wait_seconds=60)
    assert (world.cluster.names(INSTANCES), world.left()) == ([], [])
    assert [(row.name, row.phase, row.content_state) for row in await world.table()] == [
        ("open", "Succeeded", CONTENT_KEPT),
        ("q1", "Succeeded", CONTENT_KEPT),
        ("q2", "Succeeded", CONTENT_KEPT),
    ]
    assert not [write for write in world.cluster.writes if write[0] == "patch"]


async def test_runs_that_go_on_for_thirty_seconds_are_cancelled(database: Database) -> None:
    world = ArchiverWorld(database)
    end_when_cancelled(world)
    instance = deleting(world)
    world.cluster.put(owned(run_object("open")))
    world.cluster.put(server_run_object())
    assert await world.deletions.begin(instance, wait_seconds=60)
    assert (await world.row("open")).phase == "Cancelled"
    assert 30 <= world.slept <= 32
    assert [write for write in world.cluster.writes if write[0] == "patch"] == [("patch", "agentruns", "open")]


async def test_runs_that_nothing_ends_count_as_cancelled_after_a_minute(database: Database) -> None:
    world = ArchiverWorld(database)
    instance = deleting(world)
    world.cluster.put(owned(run_object("open")))
    assert await world.deletions.begin(instance, wait_seconds=60)
    assert (await world.row("open")).phase == "Cancelled"
    assert 60 <= world.slept <= 62
    assert world.cluster.names(INSTANCES) == []


async def test_a_deletion_that_is_resumed_late_cancels_runs_and_waits_for_their_end(database: Database) -> None:
    world = ArchiverWorld(database)
    end_when_cancelled(world)
    instance = deleting(world)
    world.pass_hours(1)
    world.cluster.put(owned(run_object("open")))
    assert await world.deletions.begin(instance, wait_seconds=60)
    assert (await world.row("open")).phase == "Cancelled"
    assert world.slept <= 2


async def test_a_mark_that_is_taken_away_gives_the_deletion_up(database: Database) -> None:
    world = ArchiverWorld(database)

    sleep = world.sleep

    async def unmarked(seconds: float) -> None:
        await sleep(seconds)
        mark = {"metadata": {"labels": {names.LABEL_DELETING: None}}}
        await world.cluster.patch(INSTANCES, NAMESPACE, "alice", mark)

    world.sleep = unmarked  # type: ignore[method-assign]
    world.restarted()
    instance = deleting(world)
    world.cluster.put(owned(run_object("open")))
    assert not await world.deletions.begin(instance, wait_seconds=60)
    assert (world.cluster.names(INSTANCES), world.left()) == (["alice"], ["open"])
    assert await world.table() == []


async def test_a_deletion_that_is_asked_for_twice_is_carried_out_once(database: Database) -> None:
    world = ArchiverWorld(database)
    instance = deleting(world)
    world.cluster.put(owned(ended("q1")))
    assert await asyncio.gather(*[world.deletions.begin(instance, wait_seconds=60) for _ in range(3)]) == [True] * 3
    assert [write for write in world.cluster.writes if write[0] == "delete"] == [
        ("delete", "sympoziuminstances", "alice")
    ]


async def test_a_caller_waits_a_while_only_and_another_process_continues(database: Database) -> None:
    world = ArchiverWorld(database)

    async def forever(_: float) -> None:
        await asyncio.Event().wait()

    sleep, world.sleep = world.sleep, forever  # type: ignore[method-assign,assignment]
    world.restarted()
    instance = deleting(world)
    world.cluster.put(owned(run_object("open")))
    assert not await world.deletions.begin(instance, wait_seconds=0.05)
    world.sleep = sleep  # type: ignore[method-assign]
    world.restarted()
    await world.deletions.resume()
    async with asyncio.timeout(60):
        while world.cluster.names(INSTANCES):
            await asyncio.sleep(0.01)
    assert (await world.row("open")).phase == "Cancelled"


async def test_an_instance_of_the_same_name_that_was_made_again_stays(database: Database) -> None:
    world = ArchiverWorld(database)
    instance = deleting(world)
    world.cluster.remove(INSTANCES, "alice", NAMESPACE)
    again = instance_object()
    again["metadata"]["uid"] = "another"
    world.cluster.put(again)
    assert await world.deletions.begin(instance, wait_seconds=60), "the one that was to be deleted is gone"
    assert world.cluster.names(INSTANCES) == ["alice"]


async def test_a_label_that_is_no_time_deletes_nothing(database: Database) -> None:
    world = ArchiverWorld(database)
    instance = instance_object()
    instance["metadata"]["labels"] = {names.LABEL_DELETING: "true"}
    world.cluster.put(instance)
    await world.deletions.resume()
    await asyncio.sleep(0.05)
    assert world.cluster.names(INSTANCES) == ["alice"]


async def test_killed_at_any_step_a_deletion_is_continued_and_no_run_is_lost(database: Database) -> None:
    step, was_killed = 0, True
    while was_killed:
        step += 1
        world = ArchiverWorld(database)
        instance = deleting(world)
        uids = []
        for number in range(2):
            run = owned(ended(f"s{step}-{number}"))
            uids.append(run["metadata"]["uid"])
            world.cluster.put(run)
        world.restarted(Killer(step))
        try:
            await world.deletions.begin(instance, wait_seconds=60)
            was_killed = False
        except Killed:
            pass
        world.restarted()
        await world.deletions.resume()
        async with asyncio.timeout(60):
            while world.cluster.names(INSTANCES):
                await asyncio.sleep(0.005)
        assert world.left() == []
        rows = {row.uid: row for row in await world.table()}
        assert [rows[uid].content_state for uid in uids] == [CONTENT_KEPT] * 2, step
    assert step > 10


async def test_a_run_of_the_same_name_that_came_meanwhile_is_not_cancelled(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(run_object("q1"))

    def another() -> None:
        world.cluster.remove(RUNS, "q1", NAMESPACE)
        world.cluster.put(run_object("q1") | {"metadata": run_object("q1")["metadata"] | {"uid": "another"}})

    world.cluster.meanwhile("patch", RUNS, another)
    await world.deletion.delete(NAMESPACE, "q1")
    assert world.left() == ["q1"]
    assert not world.cluster.object(RUNS, "q1", NAMESPACE)["spec"]["cancel"]


async def test_a_deleted_instance_cancels_no_run_that_has_the_name_of_its_own(database: Database) -> None:
    world = ArchiverWorld(database)
    end_when_cancelled(world)
    instance = deleting(world)
    world.cluster.put(owned(run_object("q1")))

    def another() -> None:
        world.cluster.remove(RUNS, "q1", NAMESPACE)
        other = run_object("q1")
        world.cluster.put(
            other | {"metadata": other["metadata"] | {"uid": "another"}, "spec": other["spec"] | {"agentRef": "bob"}}
        )

    world.cluster.meanwhile("patch", RUNS, another)
    await world.deletions.begin(instance, wait_seconds=60)
    assert not world.cluster.object(RUNS, "q1", NAMESPACE)["spec"]["cancel"]
