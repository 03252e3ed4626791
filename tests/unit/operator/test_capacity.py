"""Room for pods: what is full is a set of nodes or a namespace's quota, never the cluster."""

import time

import pytest
from tests.unit.operator.full_nodes import waits_for_a_node
from tests.unit.operator.objects import NAMESPACE, Object, instance_object, run_object
from tests.unit.operator.operator_world import World

from sympozium_api.resources import INSTANCES, RUNS
from sympozium_operator.policy.placement import placement
from sympozium_operator.scheduling.capacity import UNLIMITED, Capacity
from sympozium_operator.scheduling.fair_queue import FairQueue

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
