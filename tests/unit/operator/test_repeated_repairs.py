"""An object that somebody else changes again and again is repaired at growing distances, and nothing else waits for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.operator.objects import NAMESPACE, SYSTEM, instance_object, pack_object, secret_object
from tests.unit.operator.operator_leader import Leader
from tests.unit.operator.test_idle_instance import started
from tests.unit.operator.test_taken_host_names import leader_of, open_gateway

from sympozium_api.resources import CONFIGS, DEPLOYMENTS, HTTP_ROUTES, INSTANCES
from sympozium_operator.result import Key

Object = dict[str, Any]
SERVER = "alice-web-endpoint-server"
BARE = {"labels": None, "ownerReferences": None}


def change(leader: Leader) -> None:
    body = leader.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)
    if body["spec"]["replicas"] != 7:
        leader.cluster.put(body | {"spec": body["spec"] | {"replicas": 7}})


def delete(leader: Leader) -> None:
    if SERVER in leader.cluster.names(DEPLOYMENTS):
        leader.cluster.remove(DEPLOYMENTS, SERVER, NAMESPACE)


@asynccontextmanager
async def fight(act: Callable[[Leader], None]) -> AsyncIterator[tuple[Leader, "asyncio.Task[None]"]]:
    """A leader of one instance, and somebody who undoes within a second whatever the leader writes of its Deployment."""
    endpoint = {"enabled": True, "replicas": 1}
    alice = instance_object(authRefs=[{"provider": "openai", "secret": "model-alice"}], webEndpoint=endpoint)
    leader = Leader(alice, pack_object(), secret_object("model-alice", "OPENAI_API_KEY"))

    async def undo() -> None:
        while True:
            await leader.time.sleep(0.25)
            act(leader)

    with leader.leading():
        await leader.time.run(15)
        started(leader)
        await leader.time.run(60)
        leader.cluster.writes.clear()
        task = asyncio.create_task(undo())
        try:
            yield leader, task
        finally:
            task.cancel()


def repairs(leader: Leader) -> int:
    return sum(1 for verb, plural, _ in leader.cluster.writes if verb == "apply" and plural == DEPLOYMENTS.plural)


def delayed(leader: Leader) -> float:
    metric = "sympozium_operator_repairs_delayed_total"
    return leader.metrics.registry.get_sample_value(metric, {"kind": "Deployment"}) or 0


@pytest.mark.parametrize("act", [change, delete])
async def test_what_is_undone_for_ever_is_repaired_ever_more_rarely(act: Callable[[Leader], None]) -> None:
    async with fight(act) as (leader, _):
        await leader.time.run(600)
        assert 10 <= repairs(leader) <= 18
        assert delayed(leader) > 0


@pytest.mark.parametrize("act", [change, delete])
async def test_what_is_left_alone_is_right_again_within_a_minute(act: Callable[[Leader], None]) -> None:
    async with fight(act) as (leader, task):
        await leader.time.run(300)
        task.cancel()
        await leader.time.run(61)
        assert leader.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["replicas"] == 1


async def test_a_changed_spec_waits_for_no_repair() -> None:
    async with fight(change) as (leader, _):
        await leader.time.run(300)
        body = leader.cluster.object(INSTANCES, "alice", NAMESPACE)
        leader.cluster.put(body | {"spec": body["spec"] | {"webEndpoint": {"enabled": True, "replicas": 3}}})
        leader.queue.add(Key("instance", NAMESPACE, "alice"))
        await leader.time.run(0.2)
        assert leader.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["replicas"] == 3


async def test_single_repairs_wait_for_nothing() -> None:
    async with fight(lambda _: None) as (leader, _):
        for _ in range(4):
            await leader.time.run(12)
            change(leader)
            await leader.time.run(0.2)
            assert leader.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["replicas"] == 1
        assert delayed(leader) == 0


async def route_of(leader: Leader) -> Object:
    """The route of the one instance that has the host name, once the gateway is ready."""
    await open_gateway(leader)
    [name] = leader.cluster.names(HTTP_ROUTES)
    return leader.cluster.object(HTTP_ROUTES, name, NAMESPACE)


async def test_a_route_that_is_changed_twice_is_repaired_twice() -> None:
    leader = leader_of()
    with leader.leading():
        before = await route_of(leader)
        leader.cluster.remove(HTTP_ROUTES, *address(before))
        await leader.time.run(0.4)
        live = leader.cluster.object(HTTP_ROUTES, *address(before))
        leader.cluster.put(live | {"spec": before["spec"] | {"hostnames": ["x.test"]}})
        await leader.time.run(0.4)
        live = leader.cluster.object(HTTP_ROUTES, *address(before))
        leader.cluster.put(live | {"metadata": live["metadata"] | BARE})
        await leader.time.run(3)
        live = leader.cluster.object(HTTP_ROUTES, *address(before))
        assert live["spec"] == before["spec"]
        assert live["metadata"]["labels"] == before["metadata"]["labels"]
        assert live["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]


async def test_a_route_that_lost_its_owner_goes_with_the_gateway() -> None:
    leader = leader_of()
    with leader.leading():
        route = await route_of(leader)
        config = leader.cluster.object(CONFIGS, "default", SYSTEM)
        leader.cluster.put(config | {"spec": {"gateway": {"enabled": False}}})
        leader.cluster.put(route | {"metadata": route["metadata"] | BARE})
        await leader.time.run(30)
        assert leader.cluster.names(HTTP_ROUTES) == []


def address(body: Object) -> tuple[str, str]:
    return body["metadata"]["name"], body["metadata"]["namespace"]
