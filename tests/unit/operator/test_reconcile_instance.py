"""Instances, server runs and SkillPacks, on an API server in memory."""

import base64
from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.instance_world import KEY, RUN, SERVER, edit
from tests.unit.operator.objects import (
    MCP_SERVERS,
    NAMESPACE,
    SYSTEM,
    WEB_ENDPOINT,
    instance_object,
    metadata,
    pack_object,
    secret_object,
    waiting,
)
from tests.unit.operator.operator_world import World

from sympozium_api.client import ApiError, ApiUnavailable, ResourceType
from sympozium_api.resources import (
    DEPLOYMENTS,
    EVENTS,
    INSTANCES,
    ROLE_BINDINGS,
    ROLES,
    RUNS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    SKILL_PACKS,
)
from sympozium_operator.result import Key, RetryLater


@pytest.fixture
def world() -> World:
    return World(instance_object(**WEB_ENDPOINT), pack_object())


def available(world: World) -> None:
    """The Deployment controller does its work."""
    body = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), body["spec"]["replicas"])
    status = {"observedGeneration": 99, "conditions": [{"type": "Available", "status": "True"}]}
    world.cluster.put(body | {"status": counts | status})


async def test_a_web_endpoint_gets_all_that_it_needs(world: World) -> None:
    await world.settle("alice", "instance")
    assert world.cluster.names(SERVICE_ACCOUNTS) == ["alice-agent", RUN]
    for kind, name in ((ROLES, RUN), (ROLE_BINDINGS, RUN), (SECRETS, KEY), (DEPLOYMENTS, SERVER), (SERVICES, SERVER)):
        body = world.cluster.object(kind, name, NAMESPACE)
        assert body["metadata"]["ownerReferences"][0]["name"] == RUN
    key = base64.b64decode(world.cluster.object(SECRETS, KEY, NAMESPACE)["data"]["api-key"]).decode()
    assert key.startswith("sk-")
    assert len(key) == 51


async def test_it_serves_when_its_deployment_is_available(world: World) -> None:
    await world.settle("alice", "instance")
    assert world.status(RUN)["phase"] == "Pending"
    assert world.instance_status()["phase"] == "Pending"
    available(world)
    await world.reconcile(RUN)
    await world.reconcile("alice", "instance")
    assert world.status(RUN)["phase"] == "Serving"
    assert world.instance_status()["phase"] == "Serving"
    assert world.instance_status()["webEndpoint"]["url"] == f"http://{SERVER}.{NAMESPACE}.svc:8080"


async def test_nothing_is_written_when_nothing_changed(world: World) -> None:
    await world.settle("alice", "instance")
    available(world)
    await world.settle("alice", "instance")
    await world.settle("alice", "instance")
    world.writes()
    world.clock.advance(3600)
    for _ in range(3):
        await world.settle("alice", "instance")
    await world.reconcile("web-endpoint", "skillpack", SYSTEM)
    await world.reconcile("web-endpoint", "skillpack", SYSTEM)
    assert world.writes() == [("patch", "skillpacks/status")]


@pytest.mark.parametrize("kind", [SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, SECRETS, DEPLOYMENTS, SERVICES])
async def test_a_child_that_was_deleted_is_made_again(world: World, kind: ResourceType) -> None:
    await world.settle("alice", "instance")
    before = sorted(world.cluster.names(kind))
    for name in before:
        world.cluster.remove(kind, name, NAMESPACE)
    await world.settle("alice", "instance")
    assert sorted(world.cluster.names(kind)) == before


async def test_another_service_account_gets_other_pods(world: World) -> None:
    """The token that a pod holds dies with the account that it was made for."""
    await world.settle("alice", "instance")
    before = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"]
    world.cluster.remove(SERVICE_ACCOUNTS, RUN, NAMESPACE)
    await world.reconcile(RUN)
    assert world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"] != before


async def test_a_child_that_was_edited_is_repaired(world: World) -> None:
    await world.settle("alice", "instance")
    edit(world, DEPLOYMENTS, SERVER, replicas=7)
    role = world.cluster.object(ROLES, RUN, NAMESPACE)
    world.cluster.put(
        role | {"rules": [*role["rules"], {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    )
    await world.settle("alice", "instance")
    assert world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["replicas"] == 1
    assert world.cluster.object(ROLES, RUN, NAMESPACE)["rules"] == role["rules"]


async def test_an_edit_that_cannot_be_merged_with_is_replaced(world: World) -> None:
    """Server-side apply merges ports by number, so another port of the same name makes ours invalid beside it."""
    await world.settle("alice", "instance")
    ports = world.cluster.object(SERVICES, SERVER, NAMESPACE)["spec"]["ports"]
    edit(world, SERVICES, SERVER, ports=[{"name": "http", "port": 9, "protocol": "TCP"}])
    world.cluster.refuse("apply", SERVICES, api_error(422, "Invalid", "Duplicate value: http"))
    await world.reconcile(RUN)
    assert world.cluster.object(SERVICES, SERVER, NAMESPACE)["spec"]["ports"] == ports


async def test_what_cannot_be_made_is_tried_again(world: World) -> None:
    await world.reconcile("alice", "instance")
    world.cluster.refuse("apply", SERVICES, api_error(422, "Invalid"))
    with pytest.raises(ApiError):
        await world.reconcile(RUN)


async def test_an_invalid_spec_leaves_what_ran(world: World) -> None:
    await world.settle("alice", "instance")
    available(world)
    await world.settle("alice", "instance")
    edit(world, INSTANCES, "alice", mcpServers=MCP_SERVERS)
    world.writes()
    await world.settle("alice", "instance")
    assert world.cluster.names(DEPLOYMENTS) == [SERVER]
    assert world.instance_status()["phase"] == "Error"
    assert world.instance_status()["webEndpoint"]["enabled"]
    assert "InvalidSpec" in [reason for kind, reason, _ in world.events() if kind == "Warning"]


async def test_switching_it_off_removes_all_of_it_but_the_agents_account(world: World) -> None:
    await world.settle("alice", "instance")
    edit(world, INSTANCES, "alice", skills=[])
    await world.settle("alice", "instance")
    await world.settle("alice", "instance")
    for kind in (RUNS, ROLES, ROLE_BINDINGS, SECRETS, DEPLOYMENTS, SERVICES):
        assert world.cluster.names(kind) == []
    assert world.cluster.names(SERVICE_ACCOUNTS) == ["alice-agent"]
    assert world.instance_status()["phase"] == "Running"
    assert world.instance_status()["webEndpoint"] == {"enabled": False, "gatewayReady": False}


async def test_a_pack_in_the_instances_namespace_tunes_the_built_in_one(world: World) -> None:
    own = pack_object(NAMESPACE, env={"SYMPOZIUM_KEEP_ALIVE": "5s"}, resources={"limits": {"memory": "1Gi"}})
    del own["spec"]["sidecar"]["image"]
    world.cluster.put(own)
    await world.settle("alice", "instance")
    [container] = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example.com/webproxy:1"
    assert container["resources"] == {"limits": {"memory": "1Gi"}}
    assert {"name": "SYMPOZIUM_KEEP_ALIVE", "value": "5s"} in container["env"]
    assert world.instance_status()["phase"] != "Error"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "example.com/own:1"),
        ("command", ["sh", "-c", "cat /var/run/secrets/kubernetes.io/serviceaccount/token"]),
        ("secretRef", "somebodys"),
        ("ports", [{"name": "shell", "containerPort": 2222}]),
        ("rbac", [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
        ("env", {"PYTHONPATH": "/tmp"}),
    ],
)
async def test_a_pack_in_the_instances_namespace_gets_nothing_that_has_the_web_proxys_rights(
    world: World, field: str, value: Any
) -> None:
    await world.settle("alice", "instance")
    before = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]
    world.cluster.put(pack_object(NAMESPACE, **{field: value}))
    await world.settle("alice", "instance")
    assert world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"] == before
    [accepted] = [c for c in world.instance_status()["conditions"] if c["type"] == "Accepted"]
    assert (accepted["status"], accepted["reason"]) == ("False", "SkillPackNotAllowed")
    assert f"remove spec.sidecar.{field}" in accepted["message"]
    await world.reconcile("web-endpoint", "skillpack")
    assert world.cluster.object(SKILL_PACKS, "web-endpoint", NAMESPACE)["status"]["phase"] == "Error"


async def test_a_new_pack_rolls_the_deployment_out(world: World) -> None:
    await world.settle("alice", "instance")
    world.cluster.put(pack_object(image="example.com/webproxy:2"))
    outcome = await world.reconcile("web-endpoint", "skillpack", SYSTEM)
    assert outcome.spread == (Key("instance", NAMESPACE, "alice"),)
    assert world.cluster.object(SKILL_PACKS, "web-endpoint", SYSTEM)["status"] == {"phase": "Ready", "skillCount": 1}
    await world.settle("alice", "instance")
    [container] = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example.com/webproxy:2"


async def test_a_pack_that_is_missing_stops_nothing(world: World) -> None:
    await world.settle("alice", "instance")
    world.cluster.remove(SKILL_PACKS, "web-endpoint", SYSTEM)
    await world.settle("alice", "instance")
    assert world.cluster.names(DEPLOYMENTS) == [SERVER]
    assert world.instance_status()["phase"] == "Error"


async def test_the_image_that_cannot_be_pulled_is_reported(world: World) -> None:
    await world.settle("alice", "instance")
    labels = {"app.kubernetes.io/component": "web-proxy", "sympozium.ai/run": RUN}
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata("server-pod", labels=labels),
            "spec": {"containers": [{}], "nodeName": "n"},
            "status": {"containerStatuses": [{"state": waiting("ErrImageNeverPull", "not there")}]},
        }
    )
    await world.reconcile(RUN)
    await world.reconcile("alice", "instance")
    conditions = {c["type"]: c for c in world.instance_status()["conditions"]}
    assert conditions["WebEndpointReady"]["reason"] == "ErrImageNeverPull"
    assert conditions["WebEndpointReady"]["message"] == "not there"


async def test_conditions_do_not_swing_between_two_words_for_one_trouble(world: World) -> None:
    await world.settle("alice", "instance")
    labels = {"app.kubernetes.io/component": "web-proxy", "sympozium.ai/run": RUN}
    base = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata("server-pod", labels=labels),
        "spec": {"containers": [{}]},
    }
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    world.clock.advance(30)
    for first, *others in (
        ({"state": waiting("ImagePullBackOff", "no image")}, {"state": waiting("ErrImagePull", "no image: 404")}),
        (
            {"state": ended},
            {"state": waiting("CrashLoopBackOff", "10s"), "lastState": ended},
            {"state": {"running": {}}, "lastState": ended},
        ),
    ):
        world.cluster.put(base | {"status": {"containerStatuses": [first]}})
        await world.reconcile(RUN)
        world.writes()
        for other in others:
            world.cluster.put(base | {"status": {"containerStatuses": [other]}})
            await world.reconcile(RUN)
        assert world.writes() == []
    assert {c["type"]: c["reason"] for c in world.status(RUN)["conditions"]}["Started"] == "CrashLoopBackOff"


async def test_a_child_that_belongs_to_a_run_that_is_going_is_waited_for(world: World) -> None:
    old = {"uid": "old", "controller": True, "name": RUN, "kind": "AgentRun", "apiVersion": "x"}
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(SERVER, ownerReferences=[old]),
            "spec": {},
        }
    )
    await world.reconcile("alice", "instance")
    with pytest.raises(RetryLater):
        await world.reconcile(RUN)
    world.cluster.remove(SERVICES, SERVER, NAMESPACE)
    await world.reconcile(RUN)
    assert world.cluster.names(SERVICES) == [SERVER]


async def test_a_run_in_mode_server_that_the_operator_did_not_ask_for_gets_nothing(world: World) -> None:
    body = {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": "AgentRun",
        "metadata": metadata("mine"),
        "spec": {"agentRef": "alice", "mode": "server"},
    }
    world.cluster.put(body)
    await world.reconcile("mine")
    assert world.cluster.names(ROLES) == []
    assert {c["type"]: c["reason"] for c in world.status("mine")["conditions"]}["Accepted"] == "NotTheWebEndpoint"


async def test_the_models_secret_is_looked_for_until_it_is_there() -> None:
    world = World(instance_object(authRefs=[{"provider": "openai", "secret": "keys"}]))
    assert (await world.reconcile("alice", "instance")).requeue_after == 5
    assert world.instance_status()["phase"] == "Pending"
    world.cluster.put(secret_object("keys", "OPENAI_API_KEY"))
    assert (await world.reconcile("alice", "instance")).requeue_after is None
    assert world.instance_status()["phase"] == "Running"


async def test_an_event_that_cannot_be_written_holds_nothing_up() -> None:
    world = World(instance_object(mcpServers=MCP_SERVERS))
    world.cluster.refuse("create", EVENTS, ApiUnavailable("away"))
    await world.reconcile("alice", "instance")
    assert world.instance_status()["phase"] == "Error"


async def test_an_instance_that_is_gone_needs_nothing() -> None:
    world = World()
    assert (await world.reconcile("alice", "instance")).requeue_after is None
    assert world.writes() == []
