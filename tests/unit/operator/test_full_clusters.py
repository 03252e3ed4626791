"""Runs while the nodes or a namespace's quota are full."""

from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.full_nodes import FULL, waits_for_a_node
from tests.unit.operator.objects import NAMESPACE, instance_object, metadata, pod_object, run_object, running
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import EVENTS, JOBS, RUNS


def two_tenants(**variables: str) -> World:
    world = World(instance_object(), run_object(), **variables)
    other = instance_object("bob")
    other["metadata"]["namespace"] = "other"
    world.cluster.put(other)
    return world


async def test_what_was_accepted_is_finished_when_the_cluster_is_busy_for_minutes() -> None:
    world = World(instance_object(), run_object())
    await world.reconcile()
    pod = waits_for_a_node(world)
    for _ in range(40):
        world.clock.advance(10)
        await world.reconcile()
    assert "phase" not in world.status()
    assert world.events() == [("Normal", "WaitingForCapacity", "The run waits for room: 0/2 nodes: Insufficient cpu")]
    placed = pod_object(state=running(400), phase="Running", created=400)
    placed["metadata"] = pod["metadata"] | {"creationTimestamp": placed["metadata"]["creationTimestamp"]}
    world.cluster.put(placed | {"status": placed["status"] | {"conditions": []}})
    assert (await world.reconcile()).requeue_after == 635
    assert world.status()["phase"] == "Running"
    assert world.cluster.names(JOBS) == [names.job("q1", "uid-of-q1")]


async def test_one_tenants_unschedulable_pods_do_not_stop_another_tenants_runs() -> None:
    world = two_tenants(SYMPOZIUM_PENDING_PODS="1")
    await world.reconcile()
    waits_for_a_node(world, nodeSelector={"pool": "full"})
    world.clock.advance(2)
    await world.reconcile()
    other = run_object("r1", agentRef="bob")
    other["metadata"]["namespace"] = "other"
    world.cluster.put(other)
    await world.reconcile("r1", namespace="other")
    assert len(world.cluster.names(JOBS)) == 2


GATED = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "non-empty gates"}]


@pytest.mark.parametrize("conditions", [GATED, [], None], ids=["gated", "unseen by a scheduler", "no pod"])
async def test_pods_that_no_scheduler_looks_at_do_not_stop_another_tenants_runs(conditions: Any) -> None:
    world = World(instance_object(), run_object(), SYMPOZIUM_PENDING_PODS="1")
    await world.reconcile()
    waits_for_a_node(world, **world.job("q1")["spec"]["template"]["spec"])
    world.clock.advance(2)
    await world.reconcile()
    for name in ("held", "other"):
        for body in (instance_object(), run_object("r1")):
            body["metadata"] |= {"namespace": name, "uid": f"{body['kind']}-{name}"}
            world.cluster.put(body)
        await world.reconcile("r1", namespace=name)
    job = world.cluster.object(JOBS, names.job("r1", "AgentRun-held"), "held")
    if conditions is not None:
        pod = pod_object("r1", node=None, conditions=conditions)
        pod["metadata"]["namespace"] = "held"
        pod["metadata"]["ownerReferences"][0]["uid"] = job["metadata"]["uid"]
        world.cluster.put(pod)
    assert len(world.cluster.names(JOBS)) == 2
    for _ in range(3):
        world.clock.advance(2)
        await world.reconcile("r1", namespace="held")
        await world.reconcile("r1", namespace="other")
    assert len(world.cluster.names(JOBS)) == 3


async def test_a_repaired_template_has_effect_while_pods_of_the_old_one_wait() -> None:
    world = World(instance_object(maxConcurrentRuns=10), run_object(), SYMPOZIUM_PENDING_PODS="1")
    await world.reconcile()
    waits_for_a_node(world, nodeSelector={"gpu": "typo"})
    world.clock.advance(2)
    await world.reconcile()
    world.variables["SYMPOZIUM_AGENT_POD"] = '{"spec":{"nodeSelector":{"gpu":"yes"}}}'
    world.restart()
    world.ask("q2", "q3", "q4")
    for name in ("q1", "q2", "q1", "q3"):
        world.clock.advance(2)
        await world.reconcile(name)
    assert world.job("q2")
    assert world.job("q3")
    waits_for_a_node(world, "q3", nodeSelector={"gpu": "yes"})
    world.clock.advance(2)
    await world.reconcile("q3")
    await world.reconcile("q4")
    assert len(world.cluster.names(JOBS)) == 3, "the new nodes are full as well"


@pytest.mark.parametrize("name", ["huge", "{job}-zzzzz"])
async def test_a_pod_that_a_tenant_adds_to_a_job_stops_no_other_tenant(name: str) -> None:
    world = two_tenants(SYMPOZIUM_PENDING_PODS="1")
    await world.reconcile()
    made, added = pod_object(), pod_object(node=None, created=1, conditions=FULL, requests={"cpu": "3900m"})
    added["metadata"]["name"] = name.format(job=world.job()["metadata"]["name"])
    for pod in (made, added):
        pod["metadata"]["ownerReferences"][0]["uid"] = world.job()["metadata"]["uid"]
        world.cluster.put(pod)
    world.clock.advance(2)
    await world.reconcile()
    assert not world.fair_queue.cluster_full


async def test_as_many_pods_wait_for_a_node_as_an_autoscaler_may_see() -> None:
    world = World(instance_object(maxConcurrentRuns=10), run_object(), SYMPOZIUM_PENDING_PODS="2")
    await world.reconcile()
    waits_for_a_node(world)
    world.clock.advance(2)
    await world.reconcile()
    world.ask("q2", "q3")
    for name in ("q2", "q3"):
        await world.reconcile(name)
    assert world.job("q2")
    assert len(world.cluster.names(JOBS)) == 2
    world.end(
        "q1", {"type": "error", "error": {"type": "cancelled", "message": "", "httpStatus": 499}, "durationMs": 1}
    )
    assert (await world.reconcile("q1")).enqueue[0].name == "q3"


async def test_a_run_that_waits_for_other_nodes_than_the_next_gives_its_slot_back() -> None:
    world = World(instance_object(maxConcurrentRuns=1), run_object(), SYMPOZIUM_PENDING_PODS="1")
    await world.reconcile()
    waits_for_a_node(world, nodeSelector={"pool": "gone"})
    world.clock.advance(2)
    await world.reconcile()
    world.fair_queue.capacity._learn((NAMESPACE, "alice"), "elsewhere", "9")
    world.ask("q2")
    await world.reconcile("q2")
    assert len(world.cluster.names(JOBS)) == 2


QUOTA = 'jobs.batch "x" is forbidden: exceeded quota: small, requested: count/jobs.batch=1'


async def test_a_job_that_is_refused_for_good_fails_within_a_minute_with_the_reason() -> None:
    world = World(instance_object(maxConcurrentRuns=1), run_object())
    world.cluster.refuse("create", JOBS, *[api_error(403, "Forbidden", "denied by policy.example.com")] * 20)
    took = 0.0
    while "phase" not in world.status() and took < 60:
        delay = (await world.reconcile()).requeue_after or 0
        world.clock.advance(delay)
        took += delay
    error = world.status()["error"]
    assert (error["type"], error["httpStatus"]) == ("start_failed", 503)
    assert "denied by policy.example.com" in error["message"]
    assert took < 60
    assert ("Warning", "WriteRefused", "denied by policy.example.com") in world.events()


async def test_a_job_that_violates_the_schema_fails_at_once() -> None:
    world = World(instance_object(), run_object())
    world.cluster.refuse("create", JOBS, api_error(422, "Invalid", "spec is wrong"))
    await world.reconcile()
    assert world.status()["error"]["message"] == "The pod could not be started: JobRefused: spec is wrong."


async def test_a_refused_run_holds_no_slot_between_its_attempts() -> None:
    world = World(instance_object(maxConcurrentRuns=1), run_object())
    world.cluster.refuse("create", JOBS, api_error(403, "Forbidden", "denied"))
    await world.reconcile()
    assert world.fair_queue.counts() == (0, 1)


async def test_an_exceeded_quota_is_waited_for_while_another_run_of_the_namespace_holds_a_job() -> None:
    world = World(instance_object(maxConcurrentRuns=10), run_object())
    await world.reconcile()
    world.ask("q2", "q3")
    world.cluster.refuse("create", JOBS, *[api_error(403, "Forbidden", QUOTA)] * 13)
    for _ in range(12):
        assert (await world.reconcile("q2")).requeue_after == 5
        world.clock.advance(5)
    await world.reconcile("q3")
    assert len(world.cluster.names(JOBS)) == 1, "q3 waits too, without asking"
    assert "phase" not in world.status("q2")
    world.cluster.remove(RUNS, "q1", NAMESPACE)
    assert (await world.reconcile("q1")).enqueue[0].name == "q2"
    await world.reconcile("q2")  # the 13th refusal: the quota is counted again a moment later
    await world.reconcile("q2")
    assert world.job("q2")
    await world.reconcile("q3")
    assert world.job("q3")


async def test_an_exceeded_quota_that_nobody_else_uses_is_final() -> None:
    world = World(instance_object(), run_object())
    world.cluster.refuse("create", JOBS, *[api_error(403, "Forbidden", QUOTA)] * 20)
    for _ in range(4):
        await world.reconcile()
        world.clock.advance(5)
    assert "exceeded quota: small" in world.status()["error"]["message"]


async def test_a_quota_that_is_too_small_for_one_job_is_final_while_others_hold_jobs() -> None:
    world = World(instance_object(maxConcurrentRuns=10), run_object())
    await world.reconcile()
    world.ask("q2")
    refusal = f"{QUOTA}, used: count/jobs.batch=1, limited: count/jobs.batch=0"
    world.cluster.refuse("create", JOBS, *[api_error(403, "Forbidden", refusal)] * 20)
    for _ in range(4):
        await world.reconcile("q2")
        world.clock.advance(5)
    assert "exceeded quota: small" in world.status("q2")["error"]["message"]


async def test_a_pod_beyond_the_quota_waits_while_another_run_holds_a_job() -> None:
    world = World(instance_object(maxConcurrentRuns=10), run_object())
    await world.reconcile()
    world.ask("q2", "q3")
    await world.reconcile("q2")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata("e"),
        "involvedObject": {"uid": world.job("q2")["metadata"]["uid"]},
        "type": "Warning",
        "reason": "FailedCreate",
        "message": "pods are forbidden: exceeded quota: small",
    }
    world.cluster.put(event)
    world.clock.advance(60)
    await world.reconcile("q2")
    assert "phase" not in world.status("q2")
    await world.reconcile("q3")
    assert len(world.cluster.names(JOBS)) == 2
    assert EVENTS.plural in [plural for _, plural in world.writes()]
    world.cluster.remove(RUNS, "q1", NAMESPACE)
    await world.reconcile("q1")
    world.clock.advance(60)  # the Job controller tries again after at most a minute
    await world.reconcile("q2")
    assert "phase" not in world.status("q2")
    world.clock.advance(15)
    await world.reconcile("q2")
    assert world.status("q2")["error"]["httpStatus"] == 503
