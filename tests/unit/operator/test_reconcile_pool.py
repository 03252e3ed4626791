"""Warm pools: idle Jobs kept, replaced and taken over by the runs that claim them, on an API server in memory."""

from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.objects import (
    NAMESPACE,
    WEB_ENDPOINT,
    at,
    instance_object,
    pack_object,
    running,
    secret_object,
    terminated,
)
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.client import ApiError, ResourceType
from sympozium_api.resources import INSTANCES, JOBS, PODS, RUNS
from sympozium_operator.reconcile.run_reconciler import READ_AGAIN
from sympozium_operator.result import Key

Object = dict[str, Any]

UNUSED = '{"type": "unused"}'


def pooled(**pool: Any) -> Object:
    return instance_object(**WEB_ENDPOINT, model={"warmPool": {"size": 2} | pool})


@pytest.fixture
def world() -> World:
    return World(pooled(), pack_object())


def jobs(world: World) -> list[Object]:
    return [world.cluster.object(JOBS, name, NAMESPACE) for name in world.cluster.names(JOBS)]


def idle_names(world: World) -> list[str]:
    return [job["metadata"]["name"] for job in jobs(world) if job["metadata"]["labels"].get(names.LABEL_WARM) == "idle"]


async def fill(world: World, looks: int = 6) -> list[str]:
    """Let the pool be filled, and its pods be ready."""
    await world.reconcile("alice", "instance")
    for _ in range(looks):
        await world.reconcile("alice", "pool")
        world.clock.advance(1)
        for job in jobs(world):
            if names.LABEL_WARM in job["metadata"]["labels"] and "status" not in job:
                becomes(world, job, ready=1, active=1)
    return idle_names(world)


def becomes(world: World, job: Object, **status: Any) -> None:
    world.cluster.put({**job, "status": status})


def pod_of(world: World, job_name: str, state: Object, phase: str = "Running") -> None:
    job = world.cluster.object(JOBS, job_name, NAMESPACE)
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job_name,
        "uid": job["metadata"]["uid"],
        "controller": True,
    }
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{job_name}-abcde",
                "namespace": NAMESPACE,
                "ownerReferences": [owner],
                "labels": {"batch.kubernetes.io/job-name": job_name},
            },
            "spec": {"containers": [{"name": "agent"}]},
            "status": {"phase": phase, "containerStatuses": [{"state": state}]},
        }
    )


def claim(world: World, job_name: str, run: str = "q1") -> None:
    """A web-proxy makes a run for an idle pod."""
    world.ask(run, claim={"jobName": job_name, "podName": f"{job_name}-abcde"})


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
