"""The fair queue learns a fact when it is found: between the finding and the next read other runs are reconciled."""

import asyncio
from typing import Any

import pytest
from tests.unit.operator.objects import NAMESPACE, instance_object, node_object, pod_object, run_object
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import JOBS, NODES, PODS

JOB = names.job("q1", "uid-of-q1")


async def started(maximum: int) -> World:
    """An instance with a run whose Job was just made."""
    world = World(instance_object(maxConcurrentRuns=maximum), run_object(), SYMPOZIUM_PENDING_PODS="1")
    await world.reconcile()
    return world


def pod_waits_for_room(world: World) -> None:
    pod = pod_object(
        node=None,
        conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}],
    )
    pod["metadata"]["ownerReferences"][0]["uid"] = world.job()["metadata"]["uid"]
    world.cluster.put(pod)
    world.clock.advance(2)


async def test_a_pod_that_waits_for_room_holds_the_queue_before_the_nodes_are_listed() -> None:
    world = await started(10)
    pod_waits_for_room(world)
    known: list[bool] = []
    world.cluster.meanwhile("list", NODES, lambda: known.append(world.fair_queue.cluster_full))
    await world.reconcile()
    assert known == [True]


async def test_a_pod_that_waits_for_room_holds_the_queue_when_the_nodes_cannot_be_read() -> None:
    world = await started(10)
    pod_waits_for_room(world)
    world.ask("q2")
    world.cluster.refuse("list", NODES, ApiUnavailable("away"))
    with pytest.raises(ApiUnavailable):
        await world.reconcile()
    await world.reconcile("q2")
    assert world.cluster.names(JOBS) == [JOB]


async def test_no_other_run_starts_while_a_pod_without_room_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await started(10)
    pod_waits_for_room(world)
    world.cluster.put(node_object(cpu="1m"))
    world.ask("q2")
    listed, go_on, list_objects = asyncio.Event(), asyncio.Event(), world.cluster.list

    async def slow(kind: Any, namespace: Any, **selectors: Any) -> Any:
        items = await list_objects(kind, namespace, **selectors)
        if kind is NODES:
            listed.set()
            await go_on.wait()
        return items

    monkeypatch.setattr(world.cluster, "list", slow)
    first = asyncio.create_task(world.reconcile())
    await listed.wait()
    await world.reconcile("q2")
    assert world.cluster.names(JOBS) == [JOB]
    go_on.set()
    await first
    assert "no node is large enough" in world.status()["error"]["message"]


async def test_a_job_that_a_new_leader_finds_counts_though_its_pods_cannot_be_read() -> None:
    world = await started(1)
    world.restart()
    world.clock.advance(2)
    world.cluster.refuse("list", PODS, ApiUnavailable("away"))
    with pytest.raises(ApiUnavailable):
        await world.reconcile()
    assert world.fair_queue.counts() == (1, 0)


async def test_a_run_whose_found_job_vanishes_is_lost_and_never_repeated() -> None:
    world = await started(1)
    world.restart()
    world.clock.advance(2)
    world.cluster.refuse("list", PODS, ApiUnavailable("away"))
    with pytest.raises(ApiUnavailable):
        await world.reconcile()
    world.cluster.remove(JOBS, JOB, NAMESPACE)
    await world.reconcile()
    assert world.cluster.names(JOBS) == []
    assert world.status()["error"]["type"] == "lost"
