"""With an archive the console deletes ended runs. The operator deletes only what would fill the cluster, and reports it."""

from typing import Any

from tests.unit.operator.objects import NAMESPACE, instance_object, run_object
from tests.unit.operator.test_retention import World, ended, with_parts

from sympozium_api import names
from sympozium_api.resources import EVENTS, INSTANCES, RUNS

DELETED = "sympozium_runs_deleted_unarchived_total"


def world(*runs: dict[str, Any], **settings: str) -> World:
    return World(*runs, **{"ARCHIVE_ENABLED": "true", "SYMPOZIUM_RUNS_KEPT": "1"} | settings)


def deleted(world: World) -> float | None:
    return world.operator.metrics.registry.get_sample_value(DELETED)


def events(world: World) -> list[dict[str, Any]]:
    return [world.cluster.object(EVENTS, name, NAMESPACE) for name in world.cluster.names(EVENTS)]


async def test_with_an_archive_the_operator_leaves_ended_runs_to_it_whatever_their_age_and_number() -> None:
    runs = [ended(f"q{number}", created=number) for number in range(10)]
    here = world(*runs, SYMPOZIUM_RUNS_KEPT_AT_MOST="2")
    assert len(await here.pruned(1000)) == 10
    assert (deleted(here), events(here)) == (0, [])


async def test_beyond_ten_times_the_kept_runs_of_an_instance_the_oldest_go_with_an_event() -> None:
    long = ended("long", created=0, end=7000)
    runs = [ended(f"q{number:02}", created=10 + number, key=f"key{number}") for number in range(12)]
    here = world(long, *runs)
    here.cluster.put(instance_object("alice"))
    assert await here.pruned(2) == ["long", *[f"q{number:02}" for number in range(3, 12)]]
    assert deleted(here) == 3
    [event] = events(here)
    assert (event["type"], event["reason"]) == ("Warning", "DeletedUnarchived")
    assert (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == (INSTANCES.kind, "alice")
    assert event["message"].startswith("3 ended runs were deleted")


async def test_the_ceiling_counts_each_instance_by_itself() -> None:
    others = [ended(f"b{number}", created=number) for number in range(9)]
    for run in others:
        run["metadata"]["labels"][names.LABEL_INSTANCE] = "bob"
    here = world(*[ended(f"a{number}", created=number) for number in range(9)], *others)
    assert len(await here.pruned(100)) == 18


async def test_a_discarded_run_waits_for_the_archive_which_may_hold_its_content() -> None:
    discarded = ended("gone", created=0)
    discarded["metadata"]["annotations"] = {names.ANNOTATION_DISCARDED: "true"}
    here = world(discarded, *[ended(f"q{number}", created=1 + number) for number in range(9)])
    assert "gone" in await here.pruned(2)
    here.cluster.put(ended("q9", created=50))
    left = await here.pruned(2)
    assert "gone" in left, "of two runs beyond the ceiling the one goes that was not discarded"
    assert "q0" not in left


async def test_a_namespace_with_an_archive_cannot_fill_the_storage_either() -> None:
    here = world(ended("old"), ended("new", created=5), run_object("open", created=0), SYMPOZIUM_STORED_BYTES="16Mi")
    for name in ("old", "new"):
        with_parts(here, name, 9)
    await here.operator.pruner.bound_bytes()
    assert sorted(here.cluster.names(RUNS)) == ["new", "open"]
    assert deleted(here) == 1
    [event] = events(here)
    assert event["reason"] == "StoredBytesExceeded"
    assert "archive" in event["message"]


async def test_without_an_archive_nothing_counts_as_unarchived() -> None:
    here = World(*[ended(f"q{number}", created=number) for number in range(25)], SYMPOZIUM_RUNS_KEPT_AT_MOST="2")
    await here.pruned(2)
    assert deleted(here) == 0
