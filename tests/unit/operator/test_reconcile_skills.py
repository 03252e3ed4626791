"""The ConfigMap with an instance's skills: made, kept, followed and taken away, on an API server in memory."""

from typing import Any

import pytest
from tests.unit.operator.objects import NAMESPACE, SYSTEM, instance_object, metadata, pack_object
from tests.unit.operator.operator_world import World

from sympozium_api import installed_skills, names
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, SKILL_PACKS
from sympozium_operator.result import Key

Object = dict[str, Any]
KEPT = "alice-installed-skills"
ALICE = Key("instance", NAMESPACE, "alice")


def pack(content: str = "Count.", *, namespace: str = NAMESPACE, name: str = "data", **spec: Any) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "SkillPack",
        "metadata": metadata(name, namespace=namespace),
        "spec": {"skills": [{"name": "sql", "content": content}]} | spec,
    }


def notes(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("notes"), "data": data}


def asking(*refs: Object) -> Object:
    return instance_object(skills=list(refs))


PACK: Object = {"skillPackRef": "data"}
MAP: Object = {"configMapRef": "notes"}


def kept(world: World) -> list[str] | None:
    """The contents of the instance's skills."""
    if KEPT not in world.cluster.names(CONFIG_MAPS):
        return None
    found = installed_skills.of_config_map(world.cluster.object(CONFIG_MAPS, KEPT, NAMESPACE))
    return None if found is None else [skill.content for skill in found]


def accepted(world: World) -> tuple[str, str]:
    [found] = [c for c in world.instance_status()["conditions"] if c["type"] == "Accepted"]
    return found["status"], found["reason"]


async def test_all_skills_of_an_instance_are_kept_in_one_config_map_that_it_owns() -> None:
    world = World(asking(PACK, MAP), pack(), notes(style="Be kind."))
    await world.settle("alice", "instance")
    assert kept(world) == ["Count.", "Be kind."]
    [owner] = world.cluster.object(CONFIG_MAPS, KEPT, NAMESPACE)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("SympoziumInstance", "alice", True)
    assert accepted(world) == ("True", "Accepted")
    assert world.instance_status()["phase"] == "Running"


async def test_a_pack_of_the_installation_is_copied_and_one_of_the_namespace_comes_before_it() -> None:
    world = World(asking(PACK), pack("Built in.", namespace=SYSTEM))
    await world.settle("alice", "instance")
    assert kept(world) == ["Built in."]
    world.cluster.put(pack("Own."))
    await world.settle("data", "skillpack")
    assert kept(world) == ["Own."]
    world.cluster.remove(SKILL_PACKS, "data", NAMESPACE)
    await world.settle("data", "skillpack")
    assert kept(world) == ["Built in."]


async def test_nothing_is_written_when_nothing_changed() -> None:
    world = World(asking(PACK, MAP), pack(), notes(style="Be kind."))
    for _ in range(2):
        await world.settle("alice", "instance")
    world.writes()
    await world.settle("alice", "instance")
    assert [key async for key in world.skills.changed()] == []
    assert world.writes() == []


async def test_a_config_map_that_changed_comes_or_goes_is_noticed_once() -> None:
    world = World(asking(PACK, MAP), pack(), notes(style="Be kind."))
    await world.settle("alice", "instance")
    world.cluster.put(notes(style="Be brief."))
    assert [key async for key in world.skills.changed()] == [ALICE]
    assert [key async for key in world.skills.changed()] == []
    await world.settle("alice", "instance")
    assert kept(world) == ["Count.", "Be brief."]
    world.cluster.remove(CONFIG_MAPS, "notes", NAMESPACE)
    assert [key async for key in world.skills.changed()] == [ALICE]
    await world.settle("alice", "instance")
    assert accepted(world) == ("False", "ConfigMapNotFound")
    assert kept(world) == ["Count.", "Be brief."]
    world.cluster.put(notes(style="Be back."))
    assert [key async for key in world.skills.changed()] == [ALICE]
    await world.settle("alice", "instance")
    assert accepted(world) == ("True", "Accepted")
    assert kept(world) == ["Count.", "Be back."]


async def test_config_maps_of_an_instance_that_is_gone_or_names_none_are_not_read() -> None:
    world = World(asking(MAP), notes(style="Be kind."))
    await world.settle("alice", "instance")
    world.cluster.put(asking(PACK))
    world.cluster.put(pack())
    await world.settle("alice", "instance")
    world.cluster.reads.clear()
    [key async for key in world.skills.changed()]
    world.cluster.put(asking(MAP))
    await world.settle("alice", "instance")
    world.cluster.remove(INSTANCES, "alice", NAMESPACE)
    await world.settle("alice", "instance")
    world.cluster.reads.clear()
    assert [key async for key in world.skills.changed()] == []
    assert world.cluster.reads == []


@pytest.mark.parametrize("edit", ["deleted", "edited"])
async def test_what_was_done_to_the_kept_skills_is_put_right(edit: str) -> None:
    world = World(asking(PACK), pack())
    await world.settle("alice", "instance")
    if edit == "deleted":
        world.cluster.remove(CONFIG_MAPS, KEPT, NAMESPACE)
    else:
        body = world.cluster.object(CONFIG_MAPS, KEPT, NAMESPACE)
        world.cluster.put(body | {"data": {installed_skills.DOCUMENT: "[]"}})
    await world.settle("alice", "instance")
    assert kept(world) == ["Count."]


async def test_an_instance_without_skills_has_no_config_map_and_one_of_another_owner_stays() -> None:
    world = World(asking(PACK), pack())
    await world.settle("alice", "instance")
    world.cluster.put(asking())
    await world.settle("alice", "instance")
    assert kept(world) is None
    world.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(KEPT)})
    await world.settle("alice", "instance")
    assert KEPT in world.cluster.names(CONFIG_MAPS)


async def test_an_empty_config_map_is_kept_as_no_skills() -> None:
    world = World(asking(MAP), notes())
    await world.settle("alice", "instance")
    assert kept(world) == []


@pytest.mark.parametrize(
    ("body", "phase"),
    [
        (pack(), "Ready"),
        (pack(sidecar={"image": "x"}), "Error"),
        (pack(skills=[{"name": "a", "content": ""}] * 2), "Error"),
        (pack(name="web-endpoint"), "Error"),
        (pack(name="web-endpoint", sidecar={"image": "x", "requiresServer": True}), "Error"),
        (pack(name="web-endpoint", sidecar={"env": {"SYMPOZIUM_MAX_BODY": "2Mi"}}), "Ready"),
    ],
)
async def test_a_packs_status_says_whether_instances_may_use_it(body: Object, phase: str) -> None:
    world = World(body, pack_object())
    name = body["metadata"]["name"]
    await world.settle(name, "skillpack")
    assert world.cluster.object(SKILL_PACKS, name, NAMESPACE)["status"] == {
        "phase": phase,
        "skillCount": len(body["spec"]["skills"]),
    }


async def test_config_maps_are_read_apart_from_api_keys_and_one_of_an_instance_in_each_turn() -> None:
    skills = [notes(**{name: "Be kind."}) for name in ("a", "b", "c")]
    for body, name in zip(skills, "abc", strict=True):
        body["metadata"]["name"] = name
    world = World(asking(*({"configMapRef": name} for name in "abc")), *skills)
    await world.settle("alice", "instance")
    world.cluster.reads.clear()
    assert [key async for key in world.api_keys.changed()] == []
    assert world.cluster.reads == []
    for name in "abca":
        assert [key async for key in world.skills.changed()] == []
        assert world.cluster.reads.pop() == ("get metadata", "configmaps", name)
        assert world.cluster.reads == []
