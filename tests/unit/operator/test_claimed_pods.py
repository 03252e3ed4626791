"""A run that claims an idle pod gets it, once, whoever leads."""

from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.idle_pods import UNUSED, becomes, claim, fill, idle_names, jobs, pod_of, pooled
from tests.unit.operator.objects import (
    NAMESPACE,
    at,
    pack_object,
    running,
    terminated,
)
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.client import ApiError, ResourceType
from sympozium_api.resources import INSTANCES, JOBS, RUNS
from sympozium_operator.reconcile.run_reconciler import READ_AGAIN
from sympozium_operator.result import Key


@pytest.fixture
def world() -> World:
    return World(pooled(), pack_object())


class TestAClaimedRun:
    async def test_that_is_short_costs_two_writes_of_the_operators(self, world: World) -> None:
        [name, _] = await fill(world)
        world.writes()
        claim(world, name)
        await world.reconcile()
        world.answer()
        await world.reconcile()
        await world.reconcile()
        world.clock.advance(2)
        await world.reconcile("alice", "pool")
        assert world.writes() == [("create", "jobs")]  # for the next run
        world.clock.advance(2)
        await world.reconcile()
        assert world.writes() == [("delete", "jobs")]
        assert name not in world.cluster.names(JOBS)

    async def test_that_continues_owns_its_job(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        pod_of(world, name, running(1))
        await world.reconcile()
        world.clock.advance(2)
        await world.reconcile()
        job = world.cluster.object(JOBS, name, NAMESPACE)
        assert job["metadata"]["ownerReferences"][0]["uid"] == world.run()["metadata"]["uid"]
        assert job["metadata"]["labels"][names.LABEL_WARM] == "claimed"
        assert job["metadata"]["labels"][names.LABEL_RUN] == "q1"
        await world.reconcile()
        assert world.status()["phase"] == "Running"
        assert world.status()["start"] == "warm"
        assert world.status()["jobName"] == name

    async def test_has_the_time_that_any_other_has(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name, "q1")
        pod_of(world, name, running(1))
        world.clock.advance(2)
        await world.reconcile()
        limit = world.cluster.object(JOBS, name, NAMESPACE)["spec"]["activeDeadlineSeconds"]
        assert 600 + 35 <= limit <= 600 + 35 + 10

    async def test_has_its_timeout_from_the_moment_at_which_its_pod_was_bound(self, world: World) -> None:
        [name, _] = await fill(world)
        began = world.clock.seconds
        world.ask("q1", timeout="1m")
        bound = {"start": "warm", "jobName": name, "podName": f"{name}-abcde", "startedAt": at(began + 25)}
        world.cluster.put(world.run() | {"status": bound})
        pod_of(world, name, running(1))
        for seconds, phase in ((30, "Running"), (88, "Running"), (4, "Failed")):
            world.clock.advance(seconds)
            await world.reconcile()
            await world.reconcile()
            assert world.status()["phase"] == phase
        assert world.status()["startedAt"] == at(began + 25)
        assert world.status()["error"]["type"] == "timeout"

    async def test_whose_pod_ended_unused_starts_cold(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        becomes(world, world.cluster.object(JOBS, name, NAMESPACE), succeeded=1)
        pod_of(world, name, terminated(0, message=UNUSED), "Succeeded")
        await world.reconcile()
        assert world.status() == {"start": "cold"}
        assert name not in world.cluster.names(JOBS)
        await world.reconcile()
        assert world.job()["metadata"]["ownerReferences"][0]["uid"] == world.run()["metadata"]["uid"]
        world.answer()
        await world.reconcile()
        assert len([job for job in jobs(world) if names.LABEL_RUN in job["metadata"]["labels"]]) == 0

    async def test_whose_start_somebody_else_wrote_meanwhile_keeps_its_pod(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        becomes(world, world.cluster.object(JOBS, name, NAMESPACE), succeeded=1)
        pod_of(world, name, terminated(0, message=UNUSED), "Succeeded")
        world.cluster.meanwhile("patch", RUNS, lambda: world.cluster.put({**world.run(), "status": {"start": "warm"}}))
        assert (await world.reconcile()).requeue_after == READ_AGAIN.requeue_after
        assert name in world.cluster.names(JOBS)
        assert "WriteRefused" not in [reason for _, reason, _ in world.events()]

    async def test_that_starts_cold_meanwhile_does_not_end_with_its_pod(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        becomes(world, world.cluster.object(JOBS, name, NAMESPACE), failed=1)
        pod_of(world, name, terminated(137, reason="OOMKilled"), "Failed")
        world.cluster.meanwhile("patch", RUNS, lambda: world.cluster.put({**world.run(), "status": {"start": "cold"}}))
        assert (await world.reconcile()).requeue_after == READ_AGAIN.requeue_after
        assert "WriteRefused" not in [reason for _, reason, _ in world.events()]
        await world.reconcile()
        assert world.job()

    async def test_that_is_refused_its_status_otherwise_says_so(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        becomes(world, world.cluster.object(JOBS, name, NAMESPACE), succeeded=1)
        pod_of(world, name, terminated(0, message=UNUSED), "Succeeded")
        world.cluster.refuse("patch", RUNS, api_error(422, "Invalid", "no"))
        with pytest.raises(ApiError):
            await world.reconcile()
        assert ("Warning", "WriteRefused", "no") in world.events()

    async def test_whose_web_proxy_says_that_it_was_not_reached_starts_cold(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        await world.reconcile()
        world.cluster.put({**world.run(), "status": {"start": "cold"}})
        await world.reconcile()
        assert world.job()
        assert name in idle_names(world), "its pod may wait elsewhere, and had no task"

    async def test_whose_pod_died_otherwise_is_lost_and_never_repeated(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        becomes(world, world.cluster.object(JOBS, name, NAMESPACE), failed=1)
        pod_of(world, name, terminated(137, reason="OOMKilled"), "Failed")
        await world.reconcile()
        assert world.status()["error"]["type"] == "lost"
        await world.reconcile()
        job = world.cluster.object(JOBS, name, NAMESPACE)
        assert job["metadata"]["labels"][names.LABEL_WARM] == "claimed", "kept for its log, as any failed run's"

    async def test_whose_job_is_gone_is_lost(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        world.cluster.remove(JOBS, name, NAMESPACE)
        assert (await world.reconcile()).requeue_after == 5
        world.clock.advance(5)
        await world.reconcile()
        assert world.status()["error"]["type"] == "lost"

    async def test_that_claims_another_runs_job_is_lost(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name, "q1")
        pod_of(world, name, running(1))
        world.clock.advance(2)
        await world.reconcile("q1")
        claim(world, name, "q2")
        await world.reconcile("q2")
        assert world.status("q2")["error"]["type"] == "lost"
        assert "phase" not in world.status("q1") or world.status("q1")["phase"] == "Running"

    async def test_is_cancelled_with_its_pod(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        await world.reconcile()
        world.cluster.put({**world.run(), "spec": world.run()["spec"] | {"cancel": True}})
        await world.reconcile()
        assert world.status()["phase"] == "Cancelled"
        assert name not in world.cluster.names(JOBS)

    async def test_ends_though_its_instance_cannot_be_read(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        becomes(world, world.cluster.object(JOBS, name, NAMESPACE), failed=1)
        pod_of(world, name, terminated(137, reason="OOMKilled"), "Failed")
        world.cluster.object(INSTANCES, "alice", NAMESPACE)["spec"]["maxConcurrentRuns"] = "many"
        await world.reconcile()
        assert world.status()["error"]["type"] == "lost"
        assert "OOMKilled" in world.status()["error"]["message"]

    @pytest.mark.parametrize("is_theirs", [True, False])
    async def test_is_cancelled_though_its_instance_cannot_be_read(self, world: World, *, is_theirs: bool) -> None:
        [name, _] = await fill(world)
        if not is_theirs:
            owners = world.cluster.object(JOBS, name, NAMESPACE)["metadata"]["ownerReferences"]
            owners[0]["uid"] = "uid-of-an-earlier-alice"
        claim(world, name)
        world.run()["spec"]["cancel"] = True
        world.cluster.object(INSTANCES, "alice", NAMESPACE)["spec"]["maxConcurrentRuns"] = "many"
        await world.reconcile()
        assert world.status()["phase"] == "Cancelled"
        assert (name in world.cluster.names(JOBS)) is not is_theirs

    async def test_counts_against_the_instances_limit(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        await world.reconcile()
        assert world.fair_queue.counts() == (1, 0)

    async def test_keeps_the_evidence_of_a_pod_that_ended_before_anybody_looked(self, world: World) -> None:
        """The operator was away, and its pool comes first when it is back."""
        [name, _] = await fill(world)
        claim(world, name)
        becomes(world, world.cluster.object(JOBS, name, NAMESPACE), failed=1)
        pod_of(world, name, terminated(1), "Failed")
        world.restart()
        outcome = await world.reconcile("alice", "pool")
        assert Key("run", NAMESPACE, "q1") in outcome.enqueue
        assert name in world.cluster.names(JOBS)
        await world.reconcile()
        assert world.status()["error"]["type"] == "lost"

    async def test_is_taken_up_by_another_leader(self, world: World) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        pod_of(world, name, running(1))
        await world.reconcile()
        world.restart()
        world.clock.advance(2)
        await world.reconcile()
        assert world.cluster.object(JOBS, name, NAMESPACE)["metadata"]["labels"][names.LABEL_RUN] == "q1"


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
class TestThatALeaderDies:
    """At each write about a claimed run: the next one goes on where it was."""

    @pytest.mark.parametrize(("verb", "kind"), [("patch", RUNS), ("delete", JOBS), ("create", JOBS)])
    async def test_as_the_run_starts_cold(self, world: World, verb: str, kind: ResourceType, *, done: bool) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        becomes(world, world.cluster.object(JOBS, name, NAMESPACE), succeeded=1)
        pod_of(world, name, terminated(0, message=UNUSED), "Succeeded")
        world.writes()
        await one_leader_after_the_other(world, verb, kind, done=done)
        assert world.status() == {"start": "cold"}
        assert world.job()["metadata"]["ownerReferences"][0]["uid"] == world.run()["metadata"]["uid"]
        assert world.writes().count(("create", "jobs")) == 1

    @pytest.mark.parametrize(("verb", "kind"), [("patch", JOBS), ("patch", RUNS)])
    async def test_as_the_job_is_adopted(self, world: World, verb: str, kind: ResourceType, *, done: bool) -> None:
        [name, _] = await fill(world)
        claim(world, name)
        pod_of(world, name, running(1))
        world.clock.advance(2)
        world.writes()
        await one_leader_after_the_other(world, verb, kind, done=done)
        job = world.cluster.object(JOBS, name, NAMESPACE)
        assert job["metadata"]["ownerReferences"][0]["uid"] == world.run()["metadata"]["uid"]
        assert (world.status()["phase"], world.status()["start"]) == ("Running", "warm")
        assert sorted(world.writes()) == [("patch", "agentruns/status"), ("patch", "jobs")]


class Died(BaseException):
    """The leader did."""


async def one_leader_after_the_other(world: World, verb: str, kind: ResourceType, *, done: bool) -> None:
    """Leaders look at the run; the first dies before its first call of this verb and kind, or when it is ``done``."""
    original = getattr(world.cluster, verb)

    async def call(of: ResourceType, *args: Any, **kwargs: Any) -> Any:
        if of is not kind:
            return await original(of, *args, **kwargs)
        setattr(world.cluster, verb, original)
        if done:
            await original(of, *args, **kwargs)
        raise Died

    setattr(world.cluster, verb, call)
    deaths = 0
    for _ in range(6):
        try:
            await world.reconcile()
        except Died:
            deaths += 1
            world.restart()
    assert deaths == 1
