"""Instances, server runs and SkillPacks, on an API server in memory."""

import base64
import re
from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
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

from sympozium_api import names
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

RUN = "alice-web-endpoint"
SERVER = f"{RUN}-server"
KEY = f"{RUN}-web-api-key"


@pytest.fixture
def world() -> World:
    return World(instance_object(**WEB_ENDPOINT), pack_object())


def edit(world: World, kind: ResourceType, name: str, **spec: Any) -> None:
    body = world.cluster.object(kind, name, NAMESPACE)
    world.cluster.put(body | {"spec": body["spec"] | spec})


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


async def test_the_generated_key_is_never_changed(world: World) -> None:
    await world.settle("alice", "instance")
    before = world.cluster.object(SECRETS, KEY, NAMESPACE)["data"]
    world.cluster.put(world.cluster.object(SECRETS, KEY, NAMESPACE) | {"data": before | {"api-key-new": "eA=="}})
    await world.settle("alice", "instance")
    assert world.cluster.object(SECRETS, KEY, NAMESPACE)["data"] == before | {"api-key-new": "eA=="}


async def test_a_key_entry_that_was_removed_is_added(world: World) -> None:
    await world.settle("alice", "instance")
    world.cluster.object(SECRETS, KEY, NAMESPACE)["data"] = {}
    await world.settle("alice", "instance")
    assert "api-key" in world.cluster.object(SECRETS, KEY, NAMESPACE)["data"]


async def test_a_key_of_ones_own_does_not_stand_for_the_generated_one(world: World) -> None:
    await world.settle("alice", "instance")
    world.cluster.object(SECRETS, KEY, NAMESPACE)["data"] = {"api-key-alice": "eA=="}
    await world.settle("alice", "instance")
    assert set(world.cluster.object(SECRETS, KEY, NAMESPACE)["data"]) == {"api-key", "api-key-alice"}


async def test_whose_the_generated_key_is_is_repaired_and_its_value_stays(world: World) -> None:
    await world.settle("alice", "instance")
    secret = world.cluster.object(SECRETS, KEY, NAMESPACE)
    before = secret["metadata"] | {"resourceVersion": ""}
    secret["metadata"] = {key: value for key, value in before.items() if key not in ("labels", "ownerReferences")}
    await world.settle("alice", "instance")
    after = world.cluster.object(SECRETS, KEY, NAMESPACE)
    assert after["metadata"] | {"resourceVersion": ""} == before
    assert after["data"] == secret["data"]


class TestSessionKey:
    """The Secret with which replicas sign MCP sessions, also where an instance names its own API keys."""

    NAME = f"{RUN}-session-key"

    async def test_each_web_endpoint_has_a_random_one_that_is_mounted(self) -> None:
        keys = []
        for spec in (WEB_ENDPOINT, OWN_KEYS):
            world = World(instance_object(**spec), pack_object(), secret_object("mine", "api-key"))
            await world.settle("alice", "instance")
            [(entry, value)] = world.cluster.object(SECRETS, self.NAME, NAMESPACE)["data"].items()
            assert not entry.startswith("api-key")
            keys.append(base64.b64decode(value))
            volumes = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"]["spec"]["volumes"]
            assert self.NAME in [volume.get("secret", {}).get("secretName") for volume in volumes]
        assert len(set(keys)) == 2
        assert all(re.fullmatch(rb"[0-9a-f]{64}", key) for key in keys)

    async def test_it_is_never_read(self, world: World) -> None:
        for _ in range(3):
            await world.settle("alice", "instance")
        assert ("get", "secrets", self.NAME) not in world.cluster.reads

    async def test_one_that_was_deleted_is_generated_again(self, world: World) -> None:
        await world.settle("alice", "instance")
        before = world.cluster.object(SECRETS, self.NAME, NAMESPACE)
        world.cluster.remove(SECRETS, self.NAME, NAMESPACE)
        await world.settle("alice", "instance")
        after = world.cluster.object(SECRETS, self.NAME, NAMESPACE)
        assert after["data"] != before["data"]
        assert after["immutable"]

    @pytest.mark.parametrize(
        "owner", [None, {"apiVersion": names.API_VERSION, "kind": "AgentRun", "name": RUN, "uid": "former"}]
    )
    async def test_one_that_anybody_made_is_neither_adopted_nor_mounted(self, world: World, owner: Any) -> None:
        secret = secret_object(self.NAME, "session-key")
        secret["metadata"]["labels"] = {names.MANAGED_BY: names.FIELD_MANAGER}
        secret["metadata"]["ownerReferences"] = [owner | {"controller": True}] if owner else []
        world.cluster.put(secret)
        await world.settle("alice", "instance")
        assert world.cluster.object(SECRETS, self.NAME, NAMESPACE)["metadata"]["labels"] == secret["metadata"]["labels"]
        assert world.cluster.names(DEPLOYMENTS) == []
        accepted = next(c for c in world.status(RUN)["conditions"] if c["type"] == "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "SessionKeyNotOwned")
        assert self.NAME in accepted["message"]
        world.cluster.remove(SECRETS, self.NAME, NAMESPACE)  # by a person, or because its owner is gone
        assert (await world.reconcile(RUN)).requeue_after == 3
        assert world.cluster.object(SECRETS, self.NAME, NAMESPACE)["data"] != secret["data"]
        assert world.cluster.names(DEPLOYMENTS) == [SERVER]
        assert next(c for c in world.status(RUN)["conditions"] if c["type"] == "Accepted")["status"] == "True"

    async def test_its_labels_are_repaired_and_its_value_stays(self, world: World) -> None:
        await world.settle("alice", "instance")
        secret = world.cluster.object(SECRETS, self.NAME, NAMESPACE)
        before = secret["metadata"] | {"resourceVersion": ""}
        secret["metadata"] = {key: value for key, value in before.items() if key != "labels"}
        await world.settle("alice", "instance")
        after = world.cluster.object(SECRETS, self.NAME, NAMESPACE)
        assert after["metadata"] | {"resourceVersion": ""} == before
        assert after["data"] == secret["data"]


class TestLooksAtApiKeys:
    """They are what repairs a Secret, which nobody may watch."""

    async def test_one_that_is_as_it_was_left_costs_one_read_and_no_look(self, world: World) -> None:
        await world.settle("alice", "instance")
        world.cluster.reads.clear()
        assert [key async for key in world.api_keys.changed()] == []
        assert world.cluster.reads == [("get metadata", "secrets", KEY)]

    async def test_one_that_was_deleted_is_reported_once_and_looked_after_again(self, world: World) -> None:
        await world.settle("alice", "instance")
        world.cluster.remove(SECRETS, KEY, NAMESPACE)
        assert [key async for key in world.api_keys.changed()] == [Key("run", NAMESPACE, RUN)]
        assert [key async for key in world.api_keys.changed()] == []
        await world.reconcile(RUN)
        assert [key async for key in world.api_keys.changed()] == []
        world.cluster.put(world.cluster.object(SECRETS, KEY, NAMESPACE) | {"data": {}})
        assert [key async for key in world.api_keys.changed()] == [Key("run", NAMESPACE, RUN)]

    async def test_the_secret_that_an_instance_names_is_reconciled_instead_of_the_generated_one(
        self, world: World
    ) -> None:
        await world.settle("alice", "instance")
        edit(world, INSTANCES, "alice", **OWN_KEYS)
        world.cluster.put(secret_object("mine", "api-key"))
        await world.settle("alice", "instance")
        world.cluster.reads.clear()
        assert [key async for key in world.api_keys.changed()] == []
        assert world.cluster.reads == [("get metadata", "secrets", "mine")]
        world.cluster.put(secret_object("mine", "api-key", "api-key-alice"))
        assert [key async for key in world.api_keys.changed()] == [Key("run", NAMESPACE, RUN)]

    async def test_one_of_a_run_that_is_gone_is_forgotten(self, world: World) -> None:
        edit(world, INSTANCES, "alice", **OWN_KEYS)
        world.cluster.put(secret_object("mine", "api-key"))
        await world.settle("alice", "instance")
        world.cluster.remove(RUNS, RUN, NAMESPACE)
        await world.reconcile(RUN)
        world.cluster.reads.clear()
        assert [key async for key in world.api_keys.changed()] == []
        assert world.cluster.reads == []


OWN_KEYS: dict[str, Any] = {"webEndpoint": {"enabled": True, "authSecretRef": "mine"}}


async def test_own_api_keys_take_the_place_of_a_generated_one() -> None:
    world = World(instance_object(**OWN_KEYS), pack_object(), secret_object("mine", "api-key-1"))
    await world.settle("alice", "instance")
    assert KEY not in world.cluster.names(SECRETS)
    volume, *_ = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"]["spec"]["volumes"]
    assert volume["secret"]["secretName"] == "mine"


@pytest.mark.parametrize(("keys", "reason"), [(None, "AuthSecretNotFound"), (["key"], "AuthSecretKeyNotFound")])
async def test_own_api_keys_must_exist_and_the_earlier_web_endpoint_stays(world: World, keys: Any, reason: str) -> None:
    await world.settle("alice", "instance")
    edit(world, INSTANCES, "alice", **OWN_KEYS)
    if keys:
        world.cluster.put(secret_object("mine", *keys))
    await world.settle("alice", "instance")
    volumes = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["secret"]["secretName"] == KEY
    assert {c["type"]: c["reason"] for c in world.status(RUN)["conditions"]}["Accepted"] == reason
    assert (await world.reconcile(RUN)).requeue_after == 3


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
