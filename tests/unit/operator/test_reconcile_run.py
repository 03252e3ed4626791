"""Runs in mode task, on an API server in memory."""

from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.objects import (
    MCP_SERVERS,
    NAMESPACE,
    instance_object,
    job_object,
    node_object,
    pod_object,
    run_object,
    running,
    secret_object,
    terminated,
)
from tests.unit.operator.operator_world import World

from sympozium_api import agent_protocol, names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import EVENTS, JOBS, NODES, PODS, RUNS
from sympozium_operator.result import Key

JOB = names.job("q1", "uid-of-q1")


@pytest.fixture
def world() -> World:
    return World(instance_object(), run_object())


def pod(world: World, **kwargs: Any) -> None:
    made = pod_object(**kwargs)
    made["metadata"]["ownerReferences"][0]["uid"] = world.job()["metadata"]["uid"]
    world.cluster.put(made)


async def test_a_short_run_costs_two_writes_of_ours(world: World) -> None:
    await world.reconcile()
    world.answer()
    await world.reconcile()
    await world.reconcile()
    assert world.writes() == [("create", "jobs"), ("delete", "jobs")]
    assert world.cluster.names(JOBS) == []
    assert world.ended("Succeeded") == 1


async def test_a_run_that_was_just_started_is_reconciled_after_a_second(world: World) -> None:
    assert (await world.reconcile()).requeue_after == 1
    assert world.job()["metadata"]["ownerReferences"][0]["uid"] == world.run()["metadata"]["uid"]


async def test_running_is_written_once_for_a_run_that_continues(world: World) -> None:
    await world.reconcile()
    pod(world, state=running(1), phase="Running")
    world.clock.advance(2)
    assert (await world.reconcile()).requeue_after == 633
    await world.reconcile()
    assert world.writes() == [("create", "jobs"), ("patch", "agentruns/status")]
    assert world.status()["phase"] == "Running"
    assert world.status()["jobName"] == JOB


async def test_another_leader_takes_a_run_up_where_it_is(world: World) -> None:
    await world.reconcile()
    world.restart()
    world.clock.advance(2)
    await world.reconcile()
    assert world.writes() == [("create", "jobs")]
    assert world.fair_queue.counts() == (1, 0)


async def test_a_job_that_another_leader_made_meanwhile_is_the_runs_own(world: World) -> None:
    world.cluster.meanwhile("create", JOBS, lambda: world.cluster.put(job_object()))
    await world.reconcile()
    assert (await world.reconcile()).requeue_after == 1
    assert world.writes() == []


async def test_a_job_of_this_name_that_is_somebody_elses_fails_the_run(world: World) -> None:
    world.cluster.put(job_object(owner="somebody"))
    await world.reconcile()
    assert world.status()["error"]["type"] == "lost"
    await world.reconcile()
    assert world.cluster.names(JOBS) == [JOB]


async def test_a_job_that_vanished_is_never_made_again(world: World) -> None:
    await world.reconcile()
    world.cluster.remove(JOBS, JOB, NAMESPACE)
    await world.reconcile()
    assert world.status()["error"]["type"] == "lost"
    assert world.cluster.names(JOBS) == []


async def test_an_unanswered_post_is_repeated_and_not_taken_for_a_job(world: World) -> None:
    world.cluster.refuse("create", JOBS, ApiUnavailable("away"))
    with pytest.raises(ApiUnavailable):
        await world.reconcile()
    await world.reconcile()
    assert world.cluster.names(JOBS) == [JOB]


async def test_a_job_that_was_found_is_known_even_if_acting_on_it_failed(world: World) -> None:
    await world.reconcile()
    world.restart()
    pod(world, state=running(1), phase="Running")
    world.clock.advance(2)
    world.cluster.refuse("patch", RUNS, ApiUnavailable("away"))
    with pytest.raises(ApiUnavailable):
        await world.reconcile()
    world.cluster.remove(JOBS, JOB, NAMESPACE)
    await world.reconcile()
    assert world.status()["error"]["type"] == "lost"
    assert world.cluster.names(JOBS) == []


async def test_a_run_that_comes_first_in_the_queue_while_a_job_is_made_finds_no_free_place() -> None:
    world = World(instance_object(maxConcurrentRuns=1), run_object())
    older, admitted = (NAMESPACE, "older", "uid-of-older"), []

    def arrive() -> None:
        world.fair_queue.enqueue(older, (NAMESPACE, "alice"), "2025-12-31T00:00:00Z")
        admitted.append(world.fair_queue.slot(older, job="a-job", limit=1, waited=0, now=0).admitted)

    world.cluster.meanwhile("create", JOBS, arrive)
    await world.reconcile()
    assert world.cluster.names(JOBS) == [JOB]
    assert admitted == [False]


async def test_the_cancelled_runs_job_goes_with_it(world: World) -> None:
    await world.reconcile()
    world.cluster.put(run_object(cancel=True))
    await world.reconcile()
    assert world.status()["phase"] == "Cancelled"
    assert world.status()["error"]["httpStatus"] == 499
    assert world.cluster.names(JOBS) == []
    await world.reconcile()
    assert world.ended("Cancelled", "cancelled") == 1


async def test_a_run_waits_for_its_instance() -> None:
    world = World(run_object())
    assert (await world.reconcile()).requeue_after == 5
    text = "there is no SympoziumInstance alice in namespace team"
    assert world.events() == [("Warning", "InstanceNotFound", text)]
    await world.reconcile()
    assert world.writes() == [("patch", "agentruns/status"), ("create", "events")]
    assert world.status()["phase"] == "Pending"
    world.cluster.put(instance_object())
    await world.reconcile()
    assert world.cluster.names(JOBS) == [JOB]
    assert [c["status"] for c in world.status()["conditions"]] == ["True"]


async def test_a_missing_model_secret_fails_the_run_and_is_reported() -> None:
    world = World(instance_object(authRefs=[{"provider": "openai", "secret": "keys"}]), run_object())
    await world.reconcile()
    await world.reconcile()
    assert world.status()["error"] == {
        "type": "model_secret_missing",
        "message": "There is no Secret keys with the model's API key.",
        "httpStatus": 503,
    }
    [event] = [body for (plural, _, _), body in world.cluster.objects.items() if plural == EVENTS.plural]
    assert event["involvedObject"]["name"] == "q1"
    assert "Secret keys" in event["message"]


async def test_a_model_secret_that_is_there_is_mounted() -> None:
    keyed = instance_object(authRefs=[{"provider": "openai", "secret": "keys"}])
    world = World(keyed, run_object(), secret_object("keys", "api-key"))
    await world.reconcile()
    assert {volume["name"] for volume in world.job()["spec"]["template"]["spec"]["volumes"]} == {
        "runs-token",
        "provider",
    }


async def test_an_instance_that_is_not_accepted_is_no_obstacle() -> None:
    world = World(instance_object(mcpServers=MCP_SERVERS), run_object())
    await world.reconcile()
    assert world.cluster.names(JOBS) == [JOB]


async def test_an_end_that_the_agent_left_in_its_pod_is_stored(world: World) -> None:
    await world.reconcile()
    world.clock.advance(5)
    words = '{"type":"error","error":{"type":"model_error","message":"no","httpStatus":401},"durationMs":1}'
    pod(world, state=terminated(1, message=words), phase="Failed")
    await world.reconcile()
    assert world.status()["error"] == {"type": "model_error", "message": "no", "httpStatus": 401}
    assert world.status()["podName"] == f"{JOB}-abcde"
    assert world.status()["jobName"] == JOB


async def test_an_answer_that_arrives_while_the_pods_end_is_weighed_stands(world: World) -> None:
    await world.reconcile()
    world.clock.advance(5)
    pod(world, state=terminated(0), phase="Succeeded")
    world.cluster.meanwhile("list", PODS, world.answer)
    await world.reconcile()
    assert world.status()["phase"] == "Succeeded"


async def test_an_answer_that_arrives_just_before_the_write_stands(world: World) -> None:
    await world.reconcile()
    world.clock.advance(5)
    pod(world, state=terminated(0), phase="Succeeded")
    world.cluster.meanwhile("patch", RUNS, world.answer)
    await world.reconcile()
    assert world.status()["phase"] == "Succeeded"
    assert not [key for key in world.cluster.objects if key[0] == EVENTS.plural]


async def test_a_status_that_the_schema_refuses_is_not_taken_for_an_end(world: World) -> None:
    await world.reconcile()
    world.clock.advance(700)
    world.cluster.refuse("patch", RUNS, api_error(422, "Invalid", "too long"))
    with pytest.raises(Exception, match="too long"):
        await world.reconcile()


async def test_a_denied_pod_ends_the_run_with_kubernetes_reason(world: World) -> None:
    await world.reconcile()
    world.clock.advance(20)
    job = world.job()["metadata"]
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e", "namespace": NAMESPACE},
            "involvedObject": {"uid": job["uid"]},
            "type": "Warning",
            "reason": "FailedCreate",
            "message": "exceeded quota",
            "lastTimestamp": "2026-01-01T00:00:01Z",
        }
    )
    await world.reconcile()
    assert world.status()["error"] == {
        "type": "start_failed",
        "message": "The pod could not be started: FailedCreate: exceeded quota.",
        "httpStatus": 503,
    }
    assert world.cluster.names(JOBS) == []


UNSCHEDULABLE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}]


async def test_nodes_are_listed_only_for_a_pod_that_finds_no_room(world: World) -> None:
    await world.reconcile()
    world.clock.advance(2)
    world.cluster.put(node_object())
    pod(world)
    await world.reconcile()
    assert ("list", NODES.plural, "") not in world.cluster.reads
    pod(world, node=None, conditions=UNSCHEDULABLE)
    await world.reconcile()
    assert ("list", NODES.plural, "") in world.cluster.reads


async def test_no_more_jobs_are_made_while_a_pod_waits_for_room() -> None:
    world = World(instance_object(), run_object(), SYMPOZIUM_PENDING_PODS="1")
    await world.reconcile()
    world.clock.advance(2)
    pod(world, node=None, conditions=UNSCHEDULABLE)
    await world.reconcile()
    world.ask("q2")
    await world.reconcile("q2")
    assert world.cluster.names(JOBS) == [JOB]
    pod(world, conditions=[], state=running(2), phase="Running")
    assert (await world.reconcile()).enqueue == (Key("run", NAMESPACE, "q2"),)
    await world.reconcile("q2")
    assert len(world.cluster.names(JOBS)) == 2


async def test_the_job_of_a_failed_run_is_kept_and_then_deleted(world: World) -> None:
    await world.reconcile()
    world.end("q1", agent_protocol.error("model_error", "no", 500))
    world.cluster.put(world.job() | {"status": {"failed": 1}})
    assert (await world.reconcile()).requeue_after == 600
    world.clock.advance(600)
    await world.reconcile()
    assert world.cluster.names(JOBS) == []
    assert world.ended("Failed", "model_error") == 1


async def test_runs_start_first_come_first_served_and_no_more_than_the_limit() -> None:
    world = World(instance_object(maxConcurrentRuns=2))
    world.ask("a", "b", "c", "d")
    for name in "abcd":
        await world.reconcile(name)
    assert len(world.cluster.names(JOBS)) == 2
    world.answer("b")
    outcome = await world.reconcile("b")
    assert outcome.enqueue == (Key("run", NAMESPACE, "c"),)
    await world.reconcile("d")
    assert len(world.cluster.names(JOBS)) == 1
    await world.reconcile("c")
    assert [run["metadata"]["name"] for run in (world.run("a"), world.run("c"))] == ["a", "c"]
    assert world.job("c")
    assert world.fair_queue.counts() == (2, 1)


async def test_a_run_that_waits_for_a_moment_costs_no_write() -> None:
    world = World(instance_object(maxConcurrentRuns=1))
    world.ask("a", "b")
    await world.reconcile("a")
    world.writes()
    assert (await world.reconcile("b")).requeue_after == 2
    assert world.writes() == []


async def test_a_deleted_run_leaves_its_place_to_the_next_one() -> None:
    world = World(instance_object(maxConcurrentRuns=1))
    world.ask("a", "b")
    await world.reconcile("a")
    await world.reconcile("b")
    world.cluster.remove(RUNS, "a", NAMESPACE)
    assert (await world.reconcile("a")).enqueue == (Key("run", NAMESPACE, "b"),)
    await world.reconcile("b")
    assert world.job("b")


async def test_a_waiting_run_whose_time_is_over_fails() -> None:
    world = World(instance_object(maxConcurrentRuns=1))
    world.ask("a", "b")
    await world.reconcile("a")
    world.clock.advance(601)
    await world.reconcile("b")
    assert world.status("b")["error"]["type"] == "timeout"


async def test_a_run_that_waits_for_longer_is_reported_its_place_now_and_then() -> None:
    world = World(instance_object(maxConcurrentRuns=1))
    world.ask("q1", "q2", "q3")
    for name in ("q1", "q2", "q3"):
        await world.reconcile(name)
    world.writes()
    assert (await world.reconcile("q3")).requeue_after == 2
    world.clock.advance(2)
    assert (await world.reconcile("q3")).requeue_after == 15
    assert world.status("q3") == {"phase": "Pending", "queuePosition": 2}
    world.clock.advance(5)
    await world.reconcile("q3")
    assert world.writes() == [("patch", "agentruns/status")]

    world.answer("q1")
    await world.settle("q1")
    world.clock.advance(10)
    await world.reconcile("q3")
    assert world.status("q3")["queuePosition"] == 1

    world.answer("q2")
    await world.settle("q2")
    assert world.job("q3")
    assert "queuePosition" not in world.status("q3")


async def test_a_pod_that_finds_no_room_is_waited_for_where_nodes_are_not_ours_to_see(world: World) -> None:
    await world.reconcile()
    world.clock.advance(2)
    pod(world, node=None, conditions=UNSCHEDULABLE)
    world.cluster.refuse("list", NODES, *[api_error(403, "Forbidden")] * 2)
    await world.reconcile()
    assert world.status().get("phase") != "Failed"
    world.clock.advance(600)
    await world.reconcile()
    assert world.status()["error"]["message"] == "The pod could not be started: Unschedulable: full."
