"""Keys of an instance's web endpoint: generated, its own, and those of sessions."""

import base64
import re
from typing import Any

import pytest
from tests.unit.operator.instance_world import KEY, RUN, SERVER, edit
from tests.unit.operator.objects import (
    NAMESPACE,
    WEB_ENDPOINT,
    instance_object,
    pack_object,
    secret_object,
)
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import (
    DEPLOYMENTS,
    INSTANCES,
    RUNS,
    SECRETS,
)
from sympozium_operator.result import Key


@pytest.fixture
def world() -> World:
    return World(instance_object(**WEB_ENDPOINT), pack_object())


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
