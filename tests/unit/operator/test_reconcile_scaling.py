"""Several replicas of a web-proxy, their number, and how the last of them go; on an API server in memory."""

from typing import Any

import pytest
from tests.unit.operator.objects import NAMESPACE, WEB_ENDPOINT, at, instance_object, metadata, pack_object
from tests.unit.operator.operator_world import World

from sympozium_api.client import ResourceType
from sympozium_api.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    INSTANCES,
    PODS,
    ROLE_BINDINGS,
    RUNS,
    SECRETS,
    SERVICES,
)

RUN = "alice-web-endpoint"
SERVER = f"{RUN}-server"


@pytest.fixture
async def world() -> World:
    found = World(instance_object(**WEB_ENDPOINT), pack_object())
    await found.settle("alice", "instance")
    return found


async def ask(world: World, **web_endpoint: Any) -> None:
    """Somebody edits the instance, and the operator looks."""
    body = world.cluster.object(INSTANCES, "alice", NAMESPACE)
    world.cluster.put(body | {"spec": body["spec"] | {"webEndpoint": web_endpoint}})
    await world.settle("alice", "instance")


async def switch(world: World, *, on: bool) -> None:
    body = world.cluster.object(INSTANCES, "alice", NAMESPACE)
    world.cluster.put(body | {"spec": body["spec"] | {"skills": WEB_ENDPOINT["skills"] if on else []}})
    await world.settle("alice", "instance")


def replicas(world: World) -> int:
    found: int = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["replicas"]
    return found


def pod(world: World, **more: Any) -> None:
    """One of the web-proxy's pods."""
    labels = {"app.kubernetes.io/component": "web-proxy", "sympozium.ai/run": RUN}
    head = metadata("server-pod", labels=labels, **more)
    world.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": {"containers": [{}]}})


async def test_one_replica_has_neither_budget_nor_autoscaler(world: World) -> None:
    assert world.cluster.names(DISRUPTION_BUDGETS) == world.cluster.names(AUTOSCALERS) == []


async def test_several_replicas_have_a_budget_until_there_is_one_again(world: World) -> None:
    await ask(world, replicas=3)
    assert replicas(world) == 3
    assert world.cluster.object(DISRUPTION_BUDGETS, SERVER, NAMESPACE)["spec"]["maxUnavailable"] == 1
    await ask(world, replicas=1)
    assert world.cluster.names(DISRUPTION_BUDGETS) == []


async def test_with_autoscaling_the_number_of_replicas_is_left_alone(world: World) -> None:
    scaling = {"autoscaling": {"minReplicas": 2, "maxReplicas": 5}}
    await ask(world, replicas=1, **scaling)
    assert replicas(world) == 2
    assert world.cluster.names(DISRUPTION_BUDGETS) == [SERVER]
    deployment = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)
    world.cluster.put(deployment | {"spec": deployment["spec"] | {"replicas": 4}})
    await world.settle("alice", "instance")
    world.cluster.put(pack_object(image="example.com/webproxy:2"))
    await world.settle("alice", "instance")
    assert replicas(world) == 4
    await ask(world, autoscaling=None)
    assert replicas(world) == 1
    assert world.cluster.names(AUTOSCALERS) == world.cluster.names(DISRUPTION_BUDGETS) == []


async def test_an_autoscaler_begins_with_the_replicas_that_are_asked_for(world: World) -> None:
    await ask(world, replicas=3, autoscaling={"maxReplicas": 5, "targetCPUUtilizationPercentage": 60})
    spec = world.cluster.object(AUTOSCALERS, SERVER, NAMESPACE)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 5)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


async def test_a_budget_of_somebody_else_is_left_alone(world: World) -> None:
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(SERVER), "spec": {}}
    world.cluster.put(body)
    await world.settle("alice", "instance")
    assert world.cluster.names(DISRUPTION_BUDGETS) == [SERVER]


KEPT: tuple[ResourceType, ...] = (RUNS, ROLE_BINDINGS, SECRETS, SERVICES)


async def test_switched_off_its_pods_finish_and_only_then_their_rights_go(world: World) -> None:
    pod(world, deletionTimestamp=at(630))
    await switch(world, on=False)
    assert world.cluster.names(DEPLOYMENTS) == []
    assert [len(world.cluster.names(kind)) for kind in KEPT] == [1, 1, 2, 1]  # Secrets: API key and session key
    assert {c["type"]: c["reason"] for c in world.status(RUN)["conditions"]}["Started"] == "Draining"
    assert (await world.reconcile(RUN)).requeue_after == 3
    world.writes()
    await world.reconcile(RUN)
    assert world.writes() == []

    world.cluster.remove(PODS, "server-pod", NAMESPACE)
    await world.reconcile(RUN)
    assert [world.cluster.names(kind) for kind in KEPT] == [[]] * len(KEPT)


async def test_a_pod_that_outstays_its_grace_period_is_not_waited_for(world: World) -> None:
    pod(world, deletionTimestamp=at(630))
    await switch(world, on=False)
    world.clock.advance(631)
    assert (await world.reconcile(RUN)).requeue_after == 3
    world.clock.advance(30)
    await world.reconcile(RUN)
    assert world.cluster.names(RUNS) == []


async def test_switched_on_again_meanwhile_it_serves_with_the_same_key(world: World) -> None:
    pod(world, deletionTimestamp=at(630))
    key = world.cluster.object(SECRETS, f"{RUN}-web-api-key", NAMESPACE)["data"]
    await switch(world, on=False)
    await switch(world, on=True)
    assert world.cluster.names(DEPLOYMENTS) == [SERVER]
    assert world.cluster.object(SECRETS, f"{RUN}-web-api-key", NAMESPACE)["data"] == key


async def test_changed_keys_are_told_to_the_pods_once_and_roll_nothing(world: World) -> None:
    pod(world)
    await world.settle("alice", "instance")
    template = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"]
    secret = world.cluster.object(SECRETS, f"{RUN}-web-api-key", NAMESPACE)
    world.cluster.put(secret | {"data": secret["data"] | {"api-key-new": "eA=="}})
    world.writes()
    await world.settle("alice", "instance")
    assert world.writes() == [("patch", "pods"), ("apply", "deployments")]
    await world.settle("alice", "instance")
    assert world.writes() == []
    version = world.cluster.object(SECRETS, f"{RUN}-web-api-key", NAMESPACE)["metadata"]["resourceVersion"]
    told = world.cluster.object(PODS, "server-pod", NAMESPACE)["metadata"]["annotations"]
    assert told == {"sympozium.ai/keys-version": version}
    assert world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"] == template


async def test_a_pod_that_goes_while_it_is_reported_of_changed_keys_is_no_trouble(world: World) -> None:
    pod(world)
    await world.settle("alice", "instance")
    secret = world.cluster.object(SECRETS, f"{RUN}-web-api-key", NAMESPACE)
    world.cluster.put(secret | {"data": secret["data"] | {"api-key-new": "eA=="}})
    world.cluster.meanwhile("patch", PODS, lambda: world.cluster.remove(PODS, "server-pod", NAMESPACE))
    await world.settle("alice", "instance")
    assert world.cluster.names(DEPLOYMENTS) == [SERVER]
