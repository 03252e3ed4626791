"""Resync: its first keys, the missed events that it repairs, and the runs that are pruned."""

from typing import Any

from tests.fakes.kubernetes import api_error
from tests.fakes.virtual_time import rest
from tests.unit.operator.objects import (
    NAMESPACE,
    instance_object,
    job_object,
    pack_object,
    run_object,
    server_run_object,
)
from tests.unit.operator.operator_leader import Leader

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import JOBS, RUNS, SECRETS, SKILL_PACKS
from sympozium_api.run import AgentRun
from sympozium_operator.result import DONE, Key, Result


class World(Leader):
    """A leader whose reconciles and pauses are only recorded."""

    def __init__(self, *objects: dict[str, Any], kept: int = 1000) -> None:
        self.seen: list[Key] = []
        self.slept: list[float] = []
        super().__init__(
            *objects,
            reconcile=self.reconcile,
            sleep=self.sleep,
            SYMPOZIUM_RUN_RETENTION="1h",
            SYMPOZIUM_SHORTEST_RETENTION="1m",
            SYMPOZIUM_RUNS_KEPT=str(kept),
            SYMPOZIUM_INSTANCE_RESYNC="100s",
        )
        self.fair_queue, self.pruner = self.operator.fair_queue, self.operator.pruner
        self.keys = self.operator.dispatcher.servers.keys

    async def reconcile(self, key: Key) -> Result:
        self.seen.append(key)
        return DONE

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def place(self, name: str) -> tuple[str, str, str]:
        return NAMESPACE, name, f"uid-of-{name}"


async def test_everything_is_reconciled_once_in_the_beginning_a_server_run_with_its_instance() -> None:
    world = World(
        pack_object(), instance_object(), server_run_object(), run_object("new", created=5), run_object("old")
    )
    await world.resync.seed()
    await rest()
    assert [(key.kind, key.name) for key in world.seen] == [
        ("skillpack", "web-endpoint"),
        ("instance", "alice"),
        ("run", "old"),
        ("run", "new"),
    ]


async def test_instances_are_reconciled_again_spread_evenly_over_the_interval() -> None:
    world = World(*(instance_object(f"i{number}") for number in range(100)))
    await world.resync.instances_again()
    for passed in (50, 100):
        await world.time.run(50)
        assert len(world.seen) == passed
    assert world.slept == [100.0]


async def test_runs_with_jobs_have_their_places_before_any_other_run_asks() -> None:
    world = World(run_object("a"), run_object("b"), job_object("b"))
    await world.resync.runs()
    slot = world.fair_queue.slot(world.place("b"), job=names.job("b", "uid-of-b"), limit=1, waited=0, now=0)
    assert slot.job_known
    assert world.fair_queue.counts() == (1, 0)


async def test_a_new_leader_starts_no_run_before_it_knows_which_places_are_taken() -> None:
    running = run_object("a", status={"phase": "Running", "startedAt": "2026-01-01T00:00:00Z"})
    leader = Leader(instance_object(maxConcurrentRuns=1), running, job_object("a"), run_object("b", created=5))
    leader.cluster.refuse("list", SKILL_PACKS, ApiUnavailable("away"))
    with leader.leading():
        await leader.settle()
        await leader.time.run(5)
        await leader.settle()
    assert leader.cluster.names(JOBS) == [names.job("a", "uid-of-a")]
    assert leader.operator.fair_queue.counts() == (1, 1)


async def test_ended_runs_are_reconciled_only_while_a_job_is_left_of_them() -> None:
    ended = {"phase": "Failed", "completedAt": "2026-01-01T00:00:00Z"}
    world = World(
        run_object("a", status=ended),
        run_object("b", status=ended),
        job_object("b", status={"failed": 1}),
    )
    await world.resync.runs()
    await rest()
    assert world.seen == [Key("run", NAMESPACE, "b")]


async def test_a_place_of_a_run_that_is_gone_is_given_back() -> None:
    world = World(instance_object(), run_object("here"))
    for name in ("gone", "here"):
        world.fair_queue.enqueue(world.place(name), (NAMESPACE, "alice"), "2026-01-01T00:00:00Z")
        world.fair_queue.bind_job(world.place(name), "a-job")
    await world.resync.runs()
    await rest()
    assert world.fair_queue.counts() == (1, 0)


async def test_a_run_that_came_while_the_list_was_read_keeps_its_place() -> None:
    world = World()

    def arrive() -> None:
        world.fair_queue.enqueue(world.place("new"), (NAMESPACE, "alice"), "2026-01-01T00:00:00Z")

    world.cluster.meanwhile("list", JOBS, arrive)
    await world.resync.runs()
    assert world.fair_queue.counts() == (0, 1)


async def test_a_server_run_whose_generated_key_is_gone_is_reconciled() -> None:
    world = World(server_run_object())
    run = AgentRun.model_validate(world.cluster.object(RUNS, "alice-web-endpoint", NAMESPACE))
    secret = await world.keys.generated(run, SympoziumInstance.model_validate(instance_object()))
    world.keys.remember(run, secret)
    await world.resync.poll(world.operator.api_keys)
    await rest()
    assert world.seen == []
    world.cluster.remove(SECRETS, "alice-web-endpoint-web-api-key", NAMESPACE)
    await world.resync.poll(world.operator.api_keys)
    await rest()
    assert world.seen == [Key("run", NAMESPACE, "alice-web-endpoint")]


async def test_a_list_that_fails_is_repeated() -> None:
    world = World(instance_object())
    world.cluster.refuse("list", RUNS, ApiUnavailable("away"))
    await world.resync.until_done(world.resync.runs)
    assert world.slept == [1.0]


def ended(
    name: str, *, created: float = 0, completed: str = "2026-01-01T00:00:00Z", label: str = "alice"
) -> dict[str, Any]:
    body = run_object(name, created=created, status={"phase": "Succeeded", "completedAt": completed})
    body["metadata"]["labels"] = {"sympozium.ai/instance": label}
    return body


async def test_a_run_is_deleted_when_its_time_since_its_end_is_over() -> None:
    world = World(ended("old"), ended("longrunning", completed="2026-01-01T00:30:00Z"), run_object("alive"))
    world.time.advance(3601)
    await world.pruner.prune()
    assert world.cluster.names(RUNS) == ["longrunning", "alive"]


async def test_a_discarded_run_is_deleted_once_it_has_ended() -> None:
    runs = [ended("unwanted"), ended("kept"), run_object("alive")]
    for run in (runs[0], runs[2]):
        run["metadata"]["annotations"] = {names.ANNOTATION_DISCARDED: "true"}
    world = World(*runs)
    await world.pruner.prune()
    assert world.cluster.names(RUNS) == ["kept", "alive"]


async def test_no_more_than_so_many_ended_runs_are_kept_per_instance() -> None:
    runs = [ended(f"a{number}", created=number) for number in range(4)]
    world = World(*runs, ended("b1", label="bob"), run_object("alive"), server_run_object(), kept=2)
    world.time.advance(120)
    await world.pruner.prune()
    assert world.cluster.names(RUNS) == ["a2", "a3", "b1", "alive", "alice-web-endpoint"]


def foreign_job(name: str, owner: str, **labels: str) -> dict[str, Any]:
    """A Job that a tenant made, of a run that exists."""
    body = job_object(owner)
    body["metadata"] |= {
        "name": name,
        "uid": name,
        "labels": {"app.kubernetes.io/managed-by": names.FIELD_MANAGER} | labels,
    }
    return body


async def test_a_job_that_a_tenant_made_ends_no_leader_and_delays_nobody() -> None:
    poison = foreign_job("poison", "mine", **{names.LABEL_RUN: "mine"})
    world = World(run_object("mine"), run_object("b"), poison, job_object("b"))
    await world.resync.seed()
    await rest()
    assert Key("run", NAMESPACE, "b") in world.seen
    assert world.fair_queue.counts() == (1, 0)
    assert world.unreadable("Job") == 1
    assert world.slept == []


async def test_a_step_that_raises_is_repeated_with_growing_delay() -> None:
    world, failures = World(), [KeyError("x"), KeyError("x"), KeyError("x")]

    async def step() -> None:
        if failures:
            raise failures.pop()

    await world.resync.until_done(step)
    assert world.slept == [1, 2, 4]


async def test_a_run_that_cannot_be_deleted_delays_no_other() -> None:
    runs = [ended("a"), ended("b")]
    for run in runs:
        run["metadata"]["annotations"] = {names.ANNOTATION_DISCARDED: "true"}
    world = World(*runs)
    world.cluster.refuse("delete", RUNS, api_error(403, "Forbidden", "a webhook said no"))
    await world.pruner.prune()
    assert world.cluster.names(RUNS) == ["a"]
    assert world.unreadable("AgentRun") == 1


async def test_a_secret_that_may_not_be_read_delays_no_other() -> None:
    world = World(server_run_object("alice"), server_run_object("bob"))
    for instance in ("alice", "bob"):
        run = AgentRun.model_validate(world.cluster.object(RUNS, f"{instance}-web-endpoint", NAMESPACE))
        world.keys.remember(run, {"metadata": {"name": f"keys-of-{instance}", "resourceVersion": "1"}})
    world.cluster.refuse("get metadata", SECRETS, api_error(403, "Forbidden"))
    await world.resync.poll(world.operator.api_keys)
    await rest()
    assert world.seen == [Key("run", NAMESPACE, "bob-web-endpoint")]
    assert world.unreadable("Secret") == 1
