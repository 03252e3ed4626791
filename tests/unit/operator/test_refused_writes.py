"""Writes that the API server refuses for good: each is shown with its reason, and repeated with backoff only."""

from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.objects import NAMESPACE, SYSTEM, WEB_ENDPOINT, config_object, instance_object, pack_object
from tests.unit.operator.operator_world import World

from sympozium_api.client import ApiError
from sympozium_api.resources import (
    CONFIG_MAPS,
    CONFIGS,
    DEPLOYMENTS,
    INSTANCES,
    JOBS,
    NETWORK_POLICIES,
    SERVICE_ACCOUNTS,
    ResourceType,
)

DENIED = 'admission webhook "policy.example.com" denied the request: no'


def denied(count: int = 1) -> list[ApiError]:
    return [api_error(403, "Forbidden", DENIED) for _ in range(count)]


def condition(status: dict[str, Any], kind: str = "Accepted") -> tuple[str, str, str]:
    found = next(c for c in status["conditions"] if c["type"] == kind)
    return found["status"], found["reason"], found.get("message", "")


@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 422])
def test_a_write_is_refused_for_good(status: int) -> None:
    assert api_error(status, "").final


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_a_write_is_not_accepted_yet(status: int) -> None:
    assert not api_error(status, "").final


def test_a_refused_read_and_a_namespace_on_its_way_out_are_no_final_refusals() -> None:
    assert not ApiError(403, {"message": "no"}, is_read=True).final
    assert not ApiError(403, {"details": {"causes": [{"reason": "NamespaceTerminating"}]}}).final


@pytest.mark.parametrize("kind", [SERVICE_ACCOUNTS, NETWORK_POLICIES, CONFIG_MAPS])
async def test_an_instances_refused_child_is_a_condition_and_an_event(kind: ResourceType) -> None:
    pack = pack_object()
    pack["metadata"]["name"], pack["metadata"]["namespace"] = "notes", NAMESPACE
    del pack["spec"]["sidecar"]
    world = World(instance_object(skills=[{"skillPackRef": "notes"}]), pack)
    world.cluster.refuse("apply", kind, *denied(2))
    for _ in range(2):
        with pytest.raises(ApiError):
            await world.reconcile("alice", "instance")
    assert condition(world.instance_status()) == ("False", "WriteRefused", DENIED)
    assert world.instance_status()["phase"] == "Error"
    assert world.events() == [("Warning", "WriteRefused", DENIED)]
    assert [kind for verb, kind in world.writes()].count("sympoziuminstances/status") == 1
    await world.reconcile("alice", "instance")
    assert condition(world.instance_status())[0] == "True"


async def test_a_server_runs_refused_child_is_a_condition_of_the_run_and_of_its_instance() -> None:
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    world.cluster.refuse("apply", DEPLOYMENTS, *denied())
    await world.reconcile("alice", "instance")
    with pytest.raises(ApiError):
        await world.reconcile("alice-web-endpoint")
    assert condition(world.status("alice-web-endpoint")) == ("False", "WriteRefused", DENIED)
    await world.reconcile("alice", "instance")
    assert condition(world.instance_status(), "WebEndpointReady") == ("False", "WriteRefused", DENIED)
    assert ("Warning", "WriteRefused", DENIED) in world.events()


async def test_a_refused_idle_pod_is_an_event_and_is_made_later() -> None:
    world = World(instance_object(**WEB_ENDPOINT, model={"warmPool": {"size": 2}}), pack_object())
    await world.reconcile("alice", "instance")
    world.cluster.refuse("create", JOBS, *denied())
    result = await world.reconcile("alice", "pool")
    assert ("Warning", "WriteRefused", DENIED) in world.events()
    assert result.requeue_after is not None
    assert result.requeue_after >= 2
    world.clock.advance(1)
    await world.reconcile("alice", "pool")
    assert world.cluster.names(JOBS) == []


async def test_any_other_refused_write_is_an_event_of_its_object() -> None:
    world = World(config_object())
    world.cluster.refuse("patch", CONFIGS, *denied())
    with pytest.raises(ApiError):
        await world.reconcile("default", "config", SYSTEM)
    assert world.events() == [("Warning", "WriteRefused", DENIED)]


async def test_a_refused_read_is_only_tried_again() -> None:
    world = World(instance_object())
    world.cluster.refuse("get", SERVICE_ACCOUNTS, *denied())
    with pytest.raises(ApiError):
        await world.reconcile("alice", "instance")
    assert world.events() == []
    assert "conditions" not in world.cluster.object(INSTANCES, "alice", NAMESPACE).get("status", {})
