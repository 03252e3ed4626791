"""Instances that wait for a host name of another route cost little, and the name's release wakes them."""

from typing import Any

import pytest
from tests.unit.operator.objects import (
    NAMESPACE,
    SYSTEM,
    config_object,
    gateway_class_object,
    instance_object,
    metadata,
    pack_object,
    ready_gateway,
    secret_object,
)
from tests.unit.operator.operator_leader import Leader
from tests.unit.operator.test_idle_instance import started

from sympozium_api.resources import GATEWAYS, HTTP_ROUTES, INSTANCES
from sympozium_operator.result import Key

Object = dict[str, Any]
HOSTNAME = "taken.example.com"
LOSERS = 8


def route(namespace: str = "elsewhere", hostname: str = HOSTNAME) -> Object:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata("by-hand", namespace=namespace),
        "spec": {"parentRefs": [{"name": "sympozium", "namespace": SYSTEM}], "hostnames": [hostname]},
    }


def leader_of(*objects: Object) -> Leader:
    """A leader with many instances that ask for one host name, and a gateway that is ready."""
    wanted = {"enabled": True, "hostname": HOSTNAME}
    model = [{"provider": "openai", "secret": "model"}]
    losers = (instance_object(f"i{number}", webEndpoint=wanted, authRefs=model) for number in range(LOSERS))
    return Leader(
        *losers,
        *objects,
        secret_object("model", "OPENAI_API_KEY"),
        pack_object(),
        config_object(),
        gateway_class_object(),
    )


async def open_gateway(leader: Leader) -> None:
    """The gateway's controller does its work."""
    await leader.time.run(15)
    started(leader)
    leader.cluster.put(ready_gateway(leader.cluster.object(GATEWAYS, "sympozium", SYSTEM)))
    await leader.time.run(30)


def count(leader: Leader, *verbs: str, kind: Any = HTTP_ROUTES) -> int:
    return sum(1 for verb, plural, _ in leader.cluster.reads if verb in verbs and plural == kind.plural)


def reasons(leader: Leader) -> list[str]:
    """The reasons of RouteReady of all losers."""
    found = [leader.cluster.object(INSTANCES, f"i{number}", NAMESPACE)["status"] for number in range(LOSERS)]
    return [c["reason"] for status in found for c in status["conditions"] if c["type"] == "RouteReady"]


async def test_a_name_that_stays_taken_is_one_read_for_all_who_wait() -> None:
    leader = leader_of(route())
    with leader.leading():
        await open_gateway(leader)
        assert reasons(leader) == ["HostnameTaken"] * LOSERS
        leader.cluster.reads.clear()
        await leader.time.run(60)
    assert count(leader, "list", "page", "collection") == 0
    assert count(leader, "get metadata") <= 12
    assert count(leader, "get", kind=INSTANCES) == 0


@pytest.mark.parametrize("change", ["deleted", "another name"])
async def test_a_name_that_is_free_goes_to_one_of_them_in_seconds(change: str) -> None:
    leader = leader_of(route())
    with leader.leading():
        await open_gateway(leader)
        leader.cluster.reads.clear()
        if change == "another name":
            leader.cluster.put(route(hostname="other.example.com"))
        else:
            leader.cluster.remove(HTTP_ROUTES, "by-hand", "elsewhere")
        await leader.time.run(10)
        assert sorted(reasons(leader)) == sorted(["HostnameTaken"] * (LOSERS - 1) + ["Starting"])
        assert count(leader, "list", "page", "collection") <= 2


async def test_a_loser_that_asks_for_another_name_gets_it_and_waits_no_more() -> None:
    leader = leader_of(route())
    with leader.leading():
        await open_gateway(leader)
        body = leader.cluster.object(INSTANCES, "i0", NAMESPACE)
        leader.cluster.put(body | {"spec": body["spec"] | {"webEndpoint": {"enabled": True, "hostname": "a.test"}}})
        leader.queue.add(Key("instance", NAMESPACE, "i0"))
        leader.cluster.remove(INSTANCES, "i1", NAMESPACE)
        leader.queue.add(Key("instance", NAMESPACE, "i1"))
        await leader.time.run(30)
        assert reasons_of(leader, "i0") == "Starting"
        waiting = {key.name for key in leader.operator.hostnames.waiting()}
        assert waiting == {f"i{number}" for number in range(2, LOSERS)}


def reasons_of(leader: Leader, name: str) -> str:
    conditions = leader.cluster.object(INSTANCES, name, NAMESPACE)["status"]["conditions"]
    return next(str(c["reason"]) for c in conditions if c["type"] == "RouteReady")
