"""Warm pools: idle Jobs kept and replaced, and the runs that wait for their pods, on an API server in memory."""

from typing import Any

import pytest
from tests.unit.operator.idle_pods import becomes, claim, fill, idle_names, jobs, pod_of, pooled
from tests.unit.operator.objects import (
    NAMESPACE,
    instance_object,
    pack_object,
    secret_object,
)
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import INSTANCES, JOBS, PODS, RUNS
from sympozium_operator.reconcile.run_reconciler import READ_AGAIN
from sympozium_operator.result import Key

Object = dict[str, Any]


@pytest.fixture
def world() -> World:
    return World(pooled(), pack_object())


async def test_a_pool_is_filled_at_a_pace_and_no_further() -> None:
    world = World(pooled(size=4), pack_object())
    await world.reconcile("alice", "instance")
    assert (await world.reconcile("alice", "pool")).requeue_after == pytest.approx(1 / 3, abs=0.2)
    assert len(idle_names(world)) == 2
    assert len(await fill(world)) == 4
    assert world.writes().count(("create", "jobs")) == 4


async def test_a_node_that_is_slow_to_start_pods_gets_few_of_them() -> None:
    world = World(pooled(size=40), pack_object())
    await world.reconcile("alice", "instance")
    for _ in range(20):
        await world.reconcile("alice", "pool")
        world.clock.advance(1)
    assert len(idle_names(world)) == 6
    becomes(world, jobs(world)[0], ready=1, active=1)
    await world.reconcile("alice", "pool")
    assert len(idle_names(world)) == 7


async def test_an_idle_job_is_a_runs_job_but_for_the_run(world: World) -> None:
    [name, _] = await fill(world)
    idle = world.cluster.object(JOBS, name, NAMESPACE)
    world.ask("q1", agentRef="alice", model={"model": "other"})
    world.run()["metadata"]["annotations"] = {names.ANNOTATION_REPLY_TO: "http://10.0.0.1:8081"}
    await world.reconcile()
    cold = world.job()
    assert names.idle_generation(f"{name}-abcde")
    own, others = (job["spec"]["template"]["spec"] for job in (idle, cold))
    for part in set(own) - {"containers"}:
        assert own[part] == others[part], part
    [container], [other] = own["containers"], others["containers"]
    assert {**container, "env": 0} == {**other, "env": 0}
    variables = {item["name"]: item["value"] for item in container["env"]}
    assert variables == {
        "SYMPOZIUM_INSTANCE": "alice",
        "SYMPOZIUM_IDLE_TTL": "600",
        "SYMPOZIUM_RUNS_URLS": "http://alice-web-endpoint-server.team.svc:8081,http://runs:8081",
    }
    assert idle["metadata"]["ownerReferences"][0]["kind"] == "SympoziumInstance"


async def test_the_instance_shows_how_many_wait_at_times(world: World) -> None:
    await fill(world, looks=3)
    await world.settle("alice", "pool")
    world.clock.advance(10)
    await world.settle("alice", "pool")
    assert world.instance_status()["warmPool"]["idle"] == 2
    claim(world, idle_names(world)[0])
    world.writes()
    await world.settle("q1")
    assert ("patch", "sympoziuminstances/status") not in world.writes()


async def test_without_a_web_endpoint_there_is_no_pool() -> None:
    world = World(instance_object(model={"warmPool": {"size": 2}}))
    assert await fill(world) == []
    assert "warmPool" not in world.instance_status()


async def test_nothing_is_made_while_a_pod_finds_no_room(world: World) -> None:
    await world.reconcile("alice", "instance")
    world.fair_queue.enqueue(("team", "r", "u"), ("team", "alice"), "")
    world.fair_queue.inspected(("team", "r", "u"), "nodes", waits=True)
    await world.reconcile("alice", "pool")
    assert idle_names(world) == []


async def test_an_idle_pod_that_finds_no_room_is_taken_away_and_made_later() -> None:
    world = World(pooled(size=1), pack_object())
    await world.reconcile("alice", "instance")
    await world.reconcile("alice", "pool")
    [name] = idle_names(world)
    pod_of(world, name, {}, "Pending")
    pod = world.cluster.object(PODS, f"{name}-abcde", NAMESPACE)
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    world.cluster.put({**pod, "status": {"phase": "Pending", "conditions": [full]}})
    world.clock.advance(11)
    await world.reconcile("alice", "pool")
    assert idle_names(world) == []
    world.clock.advance(1)
    assert (await world.reconcile("alice", "pool")).requeue_after == pytest.approx(1)
    assert idle_names(world) == []


class TestGenerations:
    @pytest.mark.parametrize(
        "change",
        [
            {"authRefs": [{"provider": "openai", "secret": "key"}]},
            {"imagePullSecrets": [{"name": "pull"}]},
            {"agents": {"default": pooled()["spec"]["agents"]["default"] | {"env": {"SSL_CERT_FILE": "/own.pem"}}}},
        ],
        ids=["secret", "pull secret", "what it prepares for"],
    )
    async def test_what_changes_the_pod_changes_the_generation(self, world: World, change: Object) -> None:
        world.cluster.put(secret_object("key", "api-key"))
        old = await fill(world)
        before = world.instance_status()["warmPool"]["generation"]
        world.cluster.put({**pooled(), "spec": pooled()["spec"] | change})
        await world.reconcile("alice", "instance")
        after = world.instance_status()["warmPool"]["generation"]
        assert after != before
        for name in old:  # their web-proxy lets them go
            becomes(world, world.cluster.object(JOBS, name, NAMESPACE), succeeded=1)
        new = await fill(world)
        assert len(new) == 2
        assert all(f"-{after}-" in name for name in new)

    async def test_a_rotated_key_changes_it(self, world: World) -> None:
        world.cluster.put(secret_object("key", "api-key"))
        world.cluster.put(
            {**pooled(), "spec": pooled()["spec"] | {"authRefs": [{"provider": "openai", "secret": "key"}]}}
        )
        await world.reconcile("alice", "instance")
        before = world.instance_status()["warmPool"]["generation"]
        world.cluster.put(secret_object("key", "api-key") | {"data": {"api-key": "b3RoZXI="}})
        await world.reconcile("alice", "instance")
        assert world.instance_status()["warmPool"]["generation"] != before

    async def test_a_prompt_or_a_limit_does_not(self, world: World) -> None:
        await world.reconcile("alice", "instance")
        before = world.instance_status()["warmPool"]["generation"]
        world.cluster.put(
            {**pooled(), "spec": pooled()["spec"] | {"memory": {"systemPrompt": "Hi"}, "maxQueuedRuns": 3}}
        )
        await world.reconcile("alice", "instance")
        assert world.instance_status()["warmPool"]["generation"] == before


class TestARunThatNobodyMadeForAPod:
    async def test_is_offered_to_idle_pods_and_then_starts_cold(self, world: World) -> None:
        await fill(world)
        world.ask("q1")
        world.writes()
        assert (await world.reconcile()).requeue_after == 0.3
        assert world.writes() == []
        await world.reconcile()
        assert world.writes() == [("patch", "agentruns/status"), ("create", "jobs")]
        assert world.status()["start"] == "cold"

    async def test_does_not_start_cold_once_a_pod_has_it(self, world: World) -> None:
        [name, _] = await fill(world)
        world.ask("q1")
        await world.reconcile()
        taken = {"start": "warm", "jobName": name, "podName": f"{name}-abcde"}
        world.cluster.meanwhile("patch", RUNS, lambda: world.cluster.put({**world.run(), "status": taken}))
        assert await world.reconcile() == READ_AGAIN
        assert "WriteRefused" not in [reason for _, reason, _ in world.events()]
        await world.reconcile()
        assert [job for job in world.cluster.names(JOBS) if job.startswith("q1")] == []
        assert world.status() == taken


class TestARunThatAwaitsAnIdlePod:
    async def test_waits_for_a_pod_that_starts_and_another_one_is_made_for_the_pool(self, world: World) -> None:
        await starting(world)
        awaits(world, "q1")
        world.writes()
        first = await world.reconcile("q1")
        assert first.requeue_after == pytest.approx(1.5)
        assert Key("pool", NAMESPACE, "alice") in first.enqueue
        world.clock.advance(1.5)  # the first runs of a burst go before the refill
        await world.reconcile("alice", "pool")
        assert world.writes() == [("create", "jobs")]
        assert len(idle_names(world)) == 3, "two for the pool, one that the run uses up"

    async def test_starts_cold_if_other_runs_wait_for_all_pods_that_start(self, world: World) -> None:
        await starting(world)
        for name in ("q1", "q2", "q3"):
            awaits(world, name)
            await world.reconcile(name)
        assert world.status("q1") == world.status("q2") == {}
        assert world.status("q3")["start"] == "cold"
        assert world.job("q3")

    async def test_gets_a_pod_of_its_own_once_the_pod_that_it_waited_for_is_gone(self, world: World) -> None:
        await starting(world)
        awaits(world, "q1")
        await world.reconcile("q1")
        for name in idle_names(world):
            world.cluster.remove(JOBS, name, NAMESPACE)
        world.cluster.put(pooled(size=0, max=1))
        await world.reconcile("alice", "instance")
        await world.reconcile("alice", "pool")
        for name in idle_names(world):
            becomes(world, world.cluster.object(JOBS, name, NAMESPACE), failed=1)
        world.clock.advance(11)
        await world.reconcile("q1")
        assert world.status("q1")["start"] == "cold"

    async def test_that_is_deleted_is_not_counted_any_longer(self, world: World) -> None:
        await starting(world)
        for name in ("q1", "q2"):
            awaits(world, name)
            await world.reconcile(name)
        world.cluster.remove(RUNS, "q1", NAMESPACE)
        await world.reconcile("q1")
        awaits(world, "q3")
        await world.reconcile("q3")
        assert world.status("q3") == {}

    async def test_waits_under_another_leader_too(self, world: World) -> None:
        await starting(world)
        awaits(world, "q1")
        world.restart()
        await world.reconcile("alice", "instance")
        await world.reconcile("alice", "pool")
        await world.reconcile("q1")
        assert world.status("q1") == {}


async def starting(world: World) -> None:
    """Let the pool's two pods start."""
    await world.reconcile("alice", "instance")
    await world.reconcile("alice", "pool")
    assert len(idle_names(world)) == 2
    world.clock.advance(0.5)


def awaits(world: World, name: str) -> None:
    """A web-proxy makes a run that may wait for an idle pod."""
    reply_to = {names.ANNOTATION_REPLY_TO: "http://10.0.0.1:8081"}
    world.ask(name, annotations=reply_to | {names.ANNOTATION_AWAITS_IDLE_POD: "true"})


async def test_a_pool_goes_with_its_instance(world: World) -> None:
    await fill(world)
    world.cluster.remove(INSTANCES, "alice", NAMESPACE)
    assert world.cluster.names(JOBS) == []
    await world.reconcile("alice", "pool")


async def test_runs_of_an_instance_without_a_pool_leave_nothing_in_memory() -> None:
    world = World(instance_object())
    world.ask(*(f"r{number}" for number in range(50)))
    for number in range(50):
        await world.reconcile(f"r{number}")
    assert world.dispatcher.pools.count_arrivals() == 0


async def test_the_arrivals_of_a_pool_are_counted_no_longer_than_they_matter() -> None:
    world = World(pooled(), pack_object())
    await world.reconcile("alice", "instance")
    for number in range(50):
        world.ask(f"r{number}")
        await world.reconcile(f"r{number}")
        world.clock.advance(10)
    assert world.dispatcher.pools.count_arrivals() <= 4


async def test_another_leader_lets_idle_pods_pull_their_image(world: World) -> None:
    await world.reconcile("alice", "instance")
    await world.reconcile("alice", "pool")
    pulled = idle_names(world)
    world.clock.advance(15)
    world.restart()
    await world.reconcile("alice", "pool")
    assert set(pulled) <= set(idle_names(world))
