"""Two operators that divide the namespaces, and what concerns them all: policies, SkillPacks, the SympoziumConfig and host names."""

import asyncio

from tests.fakes.virtual_loop import run
from tests.integration.operator.test_shards import NAMESPACES, SHARDS, Operator, World, moved
from tests.unit.api.policies import policy_manifest
from tests.unit.operator.objects import (
    SYSTEM,
    WEB_ENDPOINT,
    config_object,
    gateway_class_object,
    instance_object,
    ready_gateway,
)

from sympozium_api.resources import CONFIGS, GATEWAYS, HTTP_ROUTES, INSTANCES, POLICIES, Object
from sympozium_operator.scheduling.shards import Shards

HOSTNAME = "one.example.com"


async def two_operators(world: World) -> list[Operator]:
    """Two operators with half of the shards each, the first of which holds the operator's namespace."""
    one = Operator(world.cluster, "one")
    await asyncio.sleep(10.7)  # not in step
    two = Operator(world.cluster, "two")
    await asyncio.sleep(30)
    assert one.metric("shards_held") == two.metric("shards_held") == SHARDS / 2
    return [one, two]


def condition(world: World, namespace: str, kind: str) -> Object:
    conditions = world.cluster.object(INSTANCES, "alice", namespace)["status"]["conditions"]
    return next((each for each in conditions if each["type"] == kind), {})


def bound(world: World) -> list[str]:
    return [condition(world, namespace, "WithinPolicy").get("message", "") for namespace in NAMESPACES]


def test_a_policy_of_the_installation_binds_instances_of_all_shards_and_counts_them() -> None:
    async def story() -> None:
        world = World()
        await two_operators(world)
        body = policy_manifest("bounds", SYSTEM, appliesTo="all", namespaceSelector={})
        for namespace in NAMESPACES:
            labelled = {"name": namespace, "namespace": "default", "labels": {}}
            world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": labelled})
        world.cluster.put(body)
        await asyncio.sleep(30)
        assert bound(world) == ["bound by sympozium-system/bounds"] * len(NAMESPACES)
        assert world.cluster.object(POLICIES, "bounds", SYSTEM)["status"]["boundInstances"] == len(NAMESPACES)
        for namespace in NAMESPACES[:3]:
            world.cluster.put(moved(instance_object("bob"), namespace))
        await asyncio.sleep(30)
        assert world.cluster.object(POLICIES, "bounds", SYSTEM)["status"]["boundInstances"] == len(NAMESPACES) + 3

    run(story)


def test_one_operator_makes_the_gateway_and_both_give_routes_and_no_two_the_same_host_name() -> None:
    async def story() -> None:
        world = World()
        world.cluster.put(gateway_class_object())
        operators = await two_operators(world)
        mine = Shards(SYSTEM, SHARDS)
        rivals = [next(each for each in NAMESPACES if mine.of(each) == shard) for shard in range(SHARDS)]
        for namespace in rivals:
            wanted = instance_object(webEndpoint={"enabled": True, "hostname": HOSTNAME})
            world.cluster.put(moved(wanted, namespace))
        other = next(each for each in NAMESPACES if each not in rivals)
        world.cluster.put(moved(instance_object(**WEB_ENDPOINT), other))
        world.cluster.put(config_object())
        await asyncio.sleep(20)
        makers = [operator for operator in operators if (CONFIGS.plural, SYSTEM) in operator.link.wrote]
        assert len(makers) == 1
        world.cluster.put(ready_gateway(world.cluster.object(GATEWAYS, "sympozium", SYSTEM)))
        await asyncio.sleep(60)
        assert hostnames(world).count(HOSTNAME) == 1
        assert "alice.example.com" in hostnames(world)
        reasons = [condition(world, namespace, "RouteReady").get("reason") for namespace in rivals]
        assert reasons.count("HostnameTaken") == len(rivals) - 1
        world.cluster.remove(
            INSTANCES, "alice", rivals[next(at for at, reason in enumerate(reasons) if reason != "HostnameTaken")]
        )
        await asyncio.sleep(60)
        assert hostnames(world).count(HOSTNAME) == 1

    run(story)


def hostnames(world: World) -> list[str]:
    """Host names of all routes."""
    routes = [body for (plural, _, _), body in world.cluster.objects.items() if plural == HTTP_ROUTES.plural]
    return [str(name) for route in routes for name in route["spec"]["hostnames"]]
