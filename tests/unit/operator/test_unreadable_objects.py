"""Objects that the API server stores and our models refuse, as after an upgrade with a narrower schema: told, and nobody waits."""

from typing import Any

import pytest
from tests.unit.operator.objects import (
    NAMESPACE,
    SYSTEM,
    WEB_ENDPOINT,
    config_object,
    instance_object,
    pack_object,
    run_object,
)
from tests.unit.operator.operator_world import World

from sympozium_api.resources import CONFIGS, DEPLOYMENTS, INSTANCES, SKILL_PACKS
from sympozium_operator.result import Key, RetryLater


def spoil(world: World, kind: Any, namespace: str, name: str, **fields: Any) -> None:
    """Put fields into an object's spec past the schema."""
    world.cluster.object(kind, name, namespace)["spec"] |= fields


def unreadable(world: World, kind: str) -> float | None:
    metric = "sympozium_operator_unreadable_objects_total"
    return world.metrics.registry.get_sample_value(metric, {"kind": kind})


async def test_an_instance_that_cannot_be_read_names_the_field_and_keeps_what_it_has() -> None:
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    await world.settle("alice", "instance")
    made = world.cluster.names(DEPLOYMENTS)
    spoil(world, INSTANCES, NAMESPACE, "alice", webEndpoint={"allowedOrigins": ["https://chat.example.com\u00a0 "]})
    for _ in range(2):
        with pytest.raises(RetryLater, match=r"spec.webEndpoint.allowedOrigins\[0\]"):
            await world.reconcile("alice", "instance")
    with pytest.raises(RetryLater):
        await world.reconcile("alice-web-endpoint")
    status = world.instance_status()
    [accepted] = [c for c in status["conditions"] if c["type"] == "Accepted"]
    assert (status["phase"], accepted["status"], accepted["reason"]) == ("Error", "False", "InvalidSpec")
    assert accepted["message"].startswith("spec.webEndpoint.allowedOrigins[0]: ")
    assert world.cluster.names(DEPLOYMENTS) == made
    assert unreadable(world, "SympoziumInstance") == 3
    assert any(reason == "Unreadable" and "allowedOrigins[0]" in message for _, reason, message in world.events())


async def test_a_run_of_an_instance_that_cannot_be_read_says_so_and_ends_with_that_reason() -> None:
    world = World(instance_object(), run_object())
    spoil(world, INSTANCES, NAMESPACE, "alice", maxConcurrentRuns="many")
    await world.reconcile()
    assert "spec.maxConcurrentRuns" in world.status()["conditions"][0]["message"]
    world.clock.advance(601)
    await world.reconcile()
    assert (world.status()["phase"], world.status()["error"]["type"]) == ("Failed", "instance_missing")
    assert "spec.maxConcurrentRuns" in world.status()["error"]["message"]


async def test_a_skill_pack_and_a_config_that_cannot_be_read_say_so() -> None:
    world = World(pack_object(), config_object())
    spoil(world, SKILL_PACKS, SYSTEM, "web-endpoint", skills=7)
    spoil(world, CONFIGS, SYSTEM, "default", gateway={"name": 7})
    for kind, name in (("skillpack", "web-endpoint"), ("config", "default")):
        with pytest.raises(RetryLater):
            await world.dispatcher(Key(kind, SYSTEM, name))  # type: ignore[arg-type]
    assert world.cluster.object(SKILL_PACKS, "web-endpoint", SYSTEM)["status"]["phase"] == "Error"
    [accepted] = world.cluster.object(CONFIGS, "default", SYSTEM)["status"]["conditions"]
    assert accepted["message"].startswith("spec.gateway.name: ")


@pytest.mark.parametrize("namespace", [NAMESPACE, SYSTEM])
async def test_a_web_endpoint_pack_that_cannot_be_read_is_named_to_the_instance_and_its_server_run(
    namespace: str,
) -> None:
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    await world.settle("alice", "instance")
    world.cluster.put(pack_object(namespace))
    spoil(world, SKILL_PACKS, namespace, "web-endpoint", skills=7)
    for name, kind in (("alice", "instance"), ("alice-web-endpoint", "run")):
        with pytest.raises(RetryLater, match=f"SkillPack {namespace}/web-endpoint cannot be read: spec.skills"):
            await world.reconcile(name, kind)
    assert unreadable(world, "SkillPack") == 2
    named = [message for _, reason, message in world.events() if reason == "Unreadable"]
    assert len(named) == 2
    assert all(message.startswith(f"SkillPack {namespace}/web-endpoint") for message in named)
