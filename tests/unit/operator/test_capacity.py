"""Room for pods: what is full is a set of nodes or a namespace's quota, never the cluster."""

import time
from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.objects import NAMESPACE, Object, instance_object, metadata, pod_object, run_object, running
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import EVENTS, INSTANCES, JOBS, RUNS
from sympozium_operator.policy.placement import placement
from sympozium_operator.scheduling.capacity import UNLIMITED, Capacity
from sympozium_operator.scheduling.fair_queue import FairQueue

FULL = [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes: Insufficient cpu"}
]
ALICE, BOB, CAROL = ("a", "alice"), ("b", "bob"), ("c", "carol")
DEFAULT, GPU = "default", "gpu"


def run(instance: tuple[str, str], number: int = 1) -> tuple[str, str, str]:
    return instance[0], f"{instance[1]}-{number}", f"uid-{instance[1]}-{number}"


def test_a_full_set_of_nodes_stops_only_the_pods_that_go_there() -> None:
    capacity = Capacity(1, DEFAULT)
    capacity.started(run(BOB), BOB)
    capacity.placed(run(BOB), BOB, GPU)
    capacity.started(run(ALICE), ALICE)
    capacity.waits(run(ALICE), ALICE, DEFAULT)
    assert capacity.room(ALICE) == 0
    assert capacity.room(BOB) == UNLIMITED
    assert capacity.is_short_for(ALICE)
    assert not capacity.is_short_for(BOB)


def test_a_namespace_of_which_nothing_is_known_may_try_one_pod() -> None:
    capacity = Capacity(1, DEFAULT)
    capacity.waits(run(ALICE), ALICE, DEFAULT)
    assert capacity.room(CAROL) == 1
    capacity.started(run(CAROL), CAROL)
    assert capacity.room(CAROL) == 0
    capacity.placed(run(CAROL), CAROL, GPU)
    assert capacity.room(CAROL) == UNLIMITED


def test_a_namespace_starts_few_pods_until_one_shows_what_admission_made_of_its_placement() -> None:
    capacity = Capacity(2, DEFAULT)
    assert capacity.room(CAROL) == UNLIMITED  # nobody waits
    capacity.started(run(BOB), BOB)
    capacity.waits(run(BOB), BOB, GPU)
    for room in (2, 1):
        assert capacity.room(CAROL) == room
        capacity.started(run(CAROL, room), CAROL)
    assert capacity.room(CAROL) == 0
    capacity.waits(run(CAROL, 2), CAROL, GPU)
    assert capacity.room(CAROL) == 0  # two pods wait for the same nodes
    capacity.placed(run(CAROL, 1), CAROL, DEFAULT, "later")
    assert capacity.take_freed()
    assert capacity.room(CAROL) == UNLIMITED


def test_an_autoscaler_sees_a_bounded_number_of_waiting_pods() -> None:
    capacity = Capacity(3, DEFAULT)
    capacity.started(run(ALICE, 1), ALICE)
    capacity.waits(run(ALICE, 1), ALICE, DEFAULT)
    assert capacity.room(ALICE) == 2
    capacity.started(run(ALICE, 2), ALICE)  # not inspected yet: it may wait too
    assert capacity.room(ALICE) == 1
    capacity.placed(run(ALICE, 2), ALICE, DEFAULT)
    assert capacity.take_freed()
    assert not capacity.take_freed()
    assert capacity.room(ALICE) == 2


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        ({"schedulerName": "default-scheduler", "nodeName": "n", "containers": []}, True),
        ({"tolerations": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]}, True),
        ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, False),
        ({"nodeSelector": {"pool": "a"}}, False),
        ({"affinity": {"nodeAffinity": {"x": 1}}}, False),
        ({"runtimeClassName": "gvisor"}, False),
        ({"containers": [{"resources": {"requests": {"cpu": "3900m"}}}]}, False),
        ({"initContainers": [{"resources": {"limits": {"memory": "1Ti"}}}]}, False),
        ({"containers": [{"resources": {"requests": {"cpu": "0"}}}, {"resources": {}}, {}]}, True),
        ({"containers": [{"resources": {"requests": {"cpu": "not a quantity"}}}]}, True),
    ],
)
def test_the_placement_of_a_pod_is_what_decides_where_it_may_go(spec: Object, same: bool) -> None:
    assert (placement(spec) == placement({})) is same


def test_requests_are_compared_as_numbers() -> None:
    def sized(*cpu: str) -> Object:
        return {"containers": [{"resources": {"requests": {"cpu": amount}}} for amount in cpu]}

    assert placement(sized("1")) == placement(sized("1000m")) == placement(sized("0.5", "500m"))
    assert placement(sized("1")) != placement(sized("10"))


def test_the_newest_job_of_the_current_template_shows_where_the_next_pod_goes() -> None:
    capacity = Capacity(1, DEFAULT)
    capacity.started(run(ALICE), ALICE)
    capacity.waits(run(ALICE), ALICE, "a-typo", made_at=None)  # of another template
    assert capacity.room(ALICE) == UNLIMITED
    capacity.started(run(ALICE, 2), ALICE)
    capacity.placed(run(ALICE, 2), ALICE, GPU, made_at="2026-01-01T00:02:00Z")
    capacity.waits(run(ALICE, 3), ALICE, "before", made_at="2026-01-01T00:01:00Z")
    assert capacity.room(ALICE) == UNLIMITED
    assert capacity.waits_elsewhere(run(ALICE, 3), ALICE)


def test_a_job_without_a_pod_because_of_a_quota_is_not_one_of_the_pending_pods() -> None:
    capacity = Capacity(2, DEFAULT)
    for number in (1, 2):
        capacity.started(run(BOB, number), BOB)
        capacity.exceeds_quota(run(BOB, number))
        assert capacity.take_freed()
        capacity.exceeds_quota(run(BOB, number))
        assert not capacity.take_freed()
    capacity.waits(run(ALICE), ALICE, DEFAULT)
    assert capacity.room(ALICE) == 1
    assert capacity.refused_by_quota(BOB[0]) == {run(BOB, 1), run(BOB, 2)}


def test_no_more_namespaces_than_pods_may_wait_try_full_nodes_at_once() -> None:
    capacity = Capacity(2, DEFAULT)
    for number in (1, 2):
        capacity.waits(run(ALICE, number), ALICE, DEFAULT)
    newcomers = [(f"n{number}", "i") for number in range(3)]
    for instance in newcomers[:2]:
        assert capacity.room(instance) == 1
        capacity.started(run(instance), instance)
    assert capacity.room(newcomers[2]) == 0
    capacity.take_freed()
    capacity.waits(run(newcomers[0]), newcomers[0], DEFAULT)
    assert capacity.take_freed()
    assert capacity.room(newcomers[2]) == 1


def full_nodes(tries: int = 2) -> tuple[Capacity, list[tuple[str, str]]]:
    """Nodes on which pods wait, and the instances whose namespaces try them."""
    capacity = Capacity(tries, DEFAULT)
    for number in range(tries):
        capacity.waits(run(ALICE, number), ALICE, DEFAULT)
    newcomers = [(f"n{number}", "i") for number in range(tries)]
    for instance in newcomers:
        capacity.started(run(instance), instance)
    return capacity, newcomers


def test_a_pod_that_shows_nothing_ends_its_namespaces_try_after_two_looks() -> None:
    capacity, (first, second) = full_nodes()
    capacity.take_freed()
    for instance in (first, second, first, second):
        capacity.inspects(run(instance))
    assert capacity.room(CAROL) == 0
    capacity.inspects(run(first))
    assert capacity.take_freed()
    assert capacity.room(CAROL) == 1
    assert capacity.room(first) == 0, "its pod may still go to the full nodes"


def test_a_gated_pod_ends_its_namespaces_try_at_once_and_is_not_without_a_node() -> None:
    capacity, (first, _) = full_nodes()
    capacity.gated(run(first))
    assert capacity.take_freed()
    assert capacity.room(CAROL) == 1
    assert capacity.room(first) == 1
    capacity.waits(run(first), first, GPU)
    assert capacity.room(first) == 1


def seconds_to_find_the_next_runs(namespaces: int) -> float:
    fair_queue, took = FairQueue(Capacity(5, DEFAULT)), []
    for namespace in (f"n{number}" for number in range(namespaces)):
        first, second = ((namespace, name, f"{namespace}-{name}") for name in "ab")
        for key in (first, second):
            fair_queue.enqueue(key, (namespace, "i"), "2026-01-01T00:00:00Z")
        fair_queue.bind_job(first, "job")
        fair_queue.inspected(first, DEFAULT, waits=True)
    for _ in range(5):
        started = time.process_time()
        assert fair_queue.next_of_all() == []
        took.append(time.process_time() - started)
    return min(took)


def test_the_next_runs_of_many_namespaces_cost_the_same_for_each() -> None:
    few, many = map(seconds_to_find_the_next_runs, (200, 1600))
    assert many < 32 * few, "eight times as many cost eight times as much, not 64 times"


@pytest.mark.parametrize("order", [("run", "instance"), ("instance", "run")])
async def test_an_instance_that_is_gone_is_forgotten_with_its_namespace(order: tuple[str, ...]) -> None:
    world = World(instance_object(), run_object())
    await world.reconcile()
    waits_for_a_node(world)
    world.clock.advance(2)
    await world.reconcile()
    capacity = world.fair_queue.capacity
    assert set(capacity._learned) == {NAMESPACE, (NAMESPACE, "alice")}
    for kind in order:
        plural, name = {"run": (RUNS, "q1"), "instance": (INSTANCES, "alice")}[kind]
        world.cluster.remove(plural, name, NAMESPACE)
        await world.reconcile(name, kind)
        if kind == order[0]:
            await world.reconcile()  # looks at the pod once more if the run is left
    assert capacity._learned == {}
    assert capacity._instances == {}
    assert world.fair_queue._limits == {}
    assert not world.fair_queue.cluster_full


def two_tenants(**variables: str) -> World:
    world = World(instance_object(), run_object(), **variables)
    other = instance_object("bob")
    other["metadata"]["namespace"] = "other"
    world.cluster.put(other)
    return world


def waits_for_a_node(world: World, name: str = "q1", **spec: object) -> Object:
    pod = pod_object(name, node=None, conditions=FULL)
    pod["spec"] |= spec
    pod["metadata"]["ownerReferences"][0]["uid"] = world.job(name)["metadata"]["uid"]
    return world.cluster.put(pod)


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
