"""Retention of ended runs: by their end, per API key, and no shorter than promised."""

from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.unit.operator.objects import NAMESPACE, at, run_object
from tests.unit.operator.operator_world import operator_settings

from sympozium_api import names, run_part
from sympozium_api.resources import EVENTS, RUN_PARTS, RUNS
from sympozium_api.run import AgentRun
from sympozium_operator.reconcile import run_pruner
from sympozium_operator.wiring import Operator, wire

HOUR = 3600
SETTINGS = {"SYMPOZIUM_RUN_RETENTION": "48h", "SYMPOZIUM_RUNS_KEPT": "2"}


class World:
    def __init__(self, *runs: dict[str, Any], **settings: str) -> None:
        self.clock = FakeClock()
        self.cluster = FakeKubernetes(self.clock.now)
        for run in runs:
            self.cluster.put(run)
        self.operator: Operator = wire(
            client=self.cluster, clock=self.clock, settings=operator_settings(**SETTINGS | settings)
        )

    async def pruned(self, hours: float) -> list[str]:
        """Names of the runs that are left when the pruner has run at that time."""
        self.clock.seconds = hours * HOUR
        await self.operator.pruner.prune()
        return sorted(self.cluster.names(RUNS))


def ended(
    name: str, *, created: float = 0, end: float | None = None, key: str = "one", stands: str = ""
) -> dict[str, Any]:
    """A run that was created and ended so many seconds after the beginning."""
    completed = at(created + 1 if end is None else end)
    run = run_object(name, created=created, status={"phase": "Succeeded", "completedAt": completed})
    run["metadata"]["labels"] = {names.LABEL_INSTANCE: "alice", names.LABEL_KEY: key}
    run["metadata"]["annotations"] = {names.ANNOTATION_KEY_EXPIRES: stands} if stands else {}
    return run


async def test_a_long_background_answer_is_kept_by_its_end() -> None:
    quick = [ended(f"quick{number}", created=100 + number) for number in range(4)]
    world = World(ended("long", created=0, end=2 * HOUR), *quick)
    assert await world.pruned(3.5) == ["long", "quick3"]


async def test_no_run_is_deleted_in_the_hour_after_its_end() -> None:
    world = World(*[ended(f"q{number}", created=number) for number in range(9)])
    assert len(await world.pruned(0.9)) == 9
    assert await world.pruned(1.1) == ["q7", "q8"]


async def test_one_keys_flood_does_not_delete_another_keys_answers() -> None:
    world = World(ended("mine", key="quiet"), *[ended(f"q{number}", created=10 + number) for number in range(9)])
    assert await world.pruned(2) == ["mine", "q7", "q8"]


async def test_a_run_stays_as_long_as_its_idempotency_key_stands() -> None:
    keyed = [ended(f"k{number}", created=number, stands=at(24 * HOUR)) for number in range(5)]
    world = World(*keyed, *[ended(f"plain{number}", created=number) for number in range(3)])
    assert await world.pruned(23) == ["k0", "k1", "k2", "k3", "k4", "plain1", "plain2"]
    assert await world.pruned(25) == ["k3", "k4"]


async def test_the_first_run_of_a_key_stays_while_a_run_that_followed_it_may_be_open() -> None:
    keyed = [ended(f"k{number}", created=number, stands=at(25 * HOUR)) for number in range(3)]
    keyed[0]["metadata"]["annotations"][names.ANNOTATION_NEWEST_ATTEMPT] = "1"
    world = World(*keyed, ended("plain", created=5))
    assert await world.pruned(24.5) == ["k0", "k2", "plain"]
    world.cluster.put(ended("new1", created=24 * HOUR))
    assert await world.pruned(26) == ["new1", "plain"]


async def test_the_first_run_of_a_key_stays_while_its_newest_run_is_open_however_long() -> None:
    first, other = (ended(name, stands=at(25 * HOUR)) for name in ("first", "other"))
    first["metadata"]["annotations"][names.ANNOTATION_NEWEST_ATTEMPT] = "1"
    newest = run_object("newest", created=24 * HOUR)
    newest["metadata"]["annotations"] = {names.ANNOTATION_FIRST_ATTEMPT: "first"}
    stranger = run_object("stranger", created=24 * HOUR)
    stranger["metadata"]["annotations"] = {names.ANNOTATION_FIRST_ATTEMPT: "other"}  # it did not follow this run
    world = World(first, other, newest, stranger)
    assert await world.pruned(100) == ["first", "newest", "stranger"]
    world.cluster.remove(RUNS, "newest", NAMESPACE)
    assert await world.pruned(101) == ["stranger"]


@pytest.mark.parametrize("text", ["9999-01-01T00:00:00Z", "9999-01-01T00:00:00"])
async def test_nobody_lets_a_key_stand_longer_than_the_setting(text: str) -> None:
    world = World(*[ended(f"k{number}", created=number, stands=text) for number in range(3)])
    assert len(await world.pruned(23)) == 3
    assert len(await world.pruned(25)) == 2


async def test_what_is_no_time_lets_no_key_stand() -> None:
    world = World(*[ended(f"k{number}", created=number, stands="soon") for number in range(3)])
    assert len(await world.pruned(2)) == 2


async def test_an_instance_cannot_fill_the_storage_and_the_key_with_the_most_runs_pays_for_it() -> None:
    flood = [ended(f"k{number}", created=number, stands=at(24 * HOUR)) for number in range(5)]
    world = World(ended("mine", key="quiet"), *flood, SYMPOZIUM_RUNS_KEPT_AT_MOST="3")
    assert await world.pruned(0.1) == ["k3", "k4", "mine"]
    registry = world.operator.metrics.registry
    assert registry.get_sample_value("sympozium_operator_runs_pruned_early_total") == 3


def with_parts(world: World, name: str, mebibytes: int) -> None:
    """Let a run own as many parts."""
    run = AgentRun.model_validate(world.cluster.object(RUNS, name, NAMESPACE))
    for index in range(mebibytes):
        part = run_part.manifest(run, "request", "0" * 64, index, "{}")
        part["metadata"]["namespace"] = NAMESPACE
        world.cluster.put(part)


async def test_a_namespace_cannot_fill_the_storage_with_long_requests() -> None:
    """Bytes come before the minimum hour and keys; the oldest ended runs go, and with them their parts."""
    keyed = [ended(f"k{number}", created=number, stands=at(24 * HOUR)) for number in range(4)]
    world = World(*keyed, ended("short"), run_object("open", created=0), SYMPOZIUM_STORED_BYTES="16Mi")
    for name in ("k0", "k1", "k2", "k3", "open"):
        with_parts(world, name, 4)
    await world.operator.pruner.bound_bytes()
    assert sorted(world.cluster.names(RUNS)) == ["k2", "k3", "open", "short"]
    assert len(world.cluster.names(RUN_PARTS)) == 12
    registry = world.operator.metrics.registry
    assert registry.get_sample_value("sympozium_operator_runs_pruned_for_bytes_total") == 2
    [event] = [world.cluster.object(EVENTS, name, NAMESPACE) for name in world.cluster.names(EVENTS)]
    assert (event["reason"], event["involvedObject"]["name"]) == ("StoredBytesExceeded", "k1")
    await world.operator.pruner.bound_bytes()
    assert len(world.cluster.names(RUNS)) == 4


def with_texts(run: Any, *, question: int = 0, answer: int = 0) -> Any:
    """Let a run say that its texts, which are not in parts, have as many bytes."""
    run["spec"]["requestText"] = {"json": "{}", "bytes": question}
    run["status"]["answerBytes"] = answer
    return run


async def test_a_namespace_cannot_fill_the_storage_with_texts_that_fit_into_their_runs() -> None:
    mib, third = 1024 * 1024, 384 * 1024
    runs = [with_texts(ended(f"q{number}", created=number), question=mib) for number in range(12)]
    runs += [with_texts(ended(f"a{number}", created=20 + number), answer=third) for number in range(16)]
    world = World(*runs, ended("short"), SYMPOZIUM_STORED_BYTES="16Mi", SYMPOZIUM_RUNS_KEPT="1000")
    assert sorted(await world.pruned(0.1)) == sorted(
        [f"q{number}" for number in range(2, 12)] + [f"a{number}" for number in range(16)] + ["short"]
    )
    registry = world.operator.metrics.registry
    assert registry.get_sample_value("sympozium_operator_runs_pruned_for_bytes_total") == 2


async def test_a_packed_text_counts_no_more_than_fits_into_a_run() -> None:
    runs = [with_texts(ended(f"q{number}", created=number), question=8 * 1024 * 1024) for number in range(11)]
    world = World(*runs, SYMPOZIUM_STORED_BYTES="16Mi", SYMPOZIUM_RUNS_KEPT="1000")
    assert len(await world.pruned(0.1)) == 11


async def test_the_run_that_ended_first_goes_first_for_its_bytes() -> None:
    """A background response may take an hour: its caller has had no time to get the answer."""
    world = World(ended("long", end=HOUR), ended("quick", created=60), SYMPOZIUM_STORED_BYTES="16Mi")
    for name in ("long", "quick"):
        with_parts(world, name, 9)
    await world.operator.pruner.bound_bytes()
    assert world.cluster.names(RUNS) == ["long"]


async def test_open_runs_and_short_ones_stay_whatever_they_store() -> None:
    world = World(ended("short"), run_object("open", created=0), SYMPOZIUM_STORED_BYTES="16Mi")
    with_parts(world, "open", 20)
    await world.operator.pruner.bound_bytes()
    assert sorted(world.cluster.names(RUNS)) == ["open", "short"]


def server_run(name: str = "alice") -> Any:
    body = run_object(names.web_endpoint_run(name), created=0)
    body["metadata"]["labels"] = {names.LABEL_INSTANCE: name}
    body["spec"] = {"agentRef": name, "mode": "server"}
    return body


def mark(world: World) -> Any:
    labels = world.cluster.object(RUNS, names.web_endpoint_run("alice"), NAMESPACE)["metadata"]["labels"]
    return labels.get(names.LABEL_STORAGE)


async def test_a_namespace_that_only_open_runs_fill_is_marked_until_it_has_room() -> None:
    world = World(ended("old"), run_object("open", created=0), server_run(), SYMPOZIUM_STORED_BYTES="16Mi")
    with_parts(world, "old", 4)
    with_parts(world, "open", 12)
    await world.operator.pruner.bound_bytes()  # deletes the old run
    assert (mark(world), len(world.cluster.names(RUN_PARTS))) == (None, 12)
    with_parts(world, "open", 20)
    await world.operator.pruner.bound_bytes()
    assert mark(world) == "full"
    writes = len(world.cluster.writes)
    await world.operator.pruner.bound_bytes()
    assert len(world.cluster.writes) == writes, "nothing changed"
    world.cluster.remove(RUNS, "open", NAMESPACE)
    await world.operator.pruner.bound_bytes()
    assert mark(world) is None


async def test_parts_whose_run_is_gone_cost_no_other_run() -> None:
    world = World(ended("old"), ended("new", created=5), SYMPOZIUM_STORED_BYTES="16Mi")
    with_parts(world, "old", 12)
    with_parts(world, "new", 12)
    world.cluster.objects.pop((RUNS.plural, NAMESPACE, "old"))  # Kubernetes has not deleted its parts yet
    await world.operator.pruner.bound_bytes()
    assert world.cluster.names(RUNS) == ["new"]


async def test_only_runs_that_may_be_next_are_read() -> None:
    world = World(*[ended(f"q{number}", created=number) for number in range(50)], SYMPOZIUM_RUNS_KEPT="48")
    await world.pruned(2)
    assert len([verb for verb, _, _ in world.cluster.reads if verb == "get"]) <= 4


async def test_a_run_that_cannot_be_deleted_holds_up_no_other() -> None:
    world = World(*[ended(f"q{number}", created=number) for number in range(4)])
    world.cluster.refuse("delete", RUNS, api_error(403, "Forbidden", "no"))
    assert await world.pruned(2) == ["q0", "q2", "q3"]


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "soon", ""])
async def test_an_end_that_is_no_time_counts_as_the_creation(text: str) -> None:
    runs = [ended(f"q{number}", created=number) for number in range(3)]
    runs[0]["status"]["completedAt"] = text
    other = ended("other", key="quiet")
    other["metadata"]["namespace"] = "zoo"
    assert await World(*runs, other).pruned(2) == ["other", "q1", "q2"]


async def test_a_key_whose_pruning_fails_holds_up_no_other() -> None:
    bad = ended("bad", key="bad")
    bad["metadata"]["creationTimestamp"] = "then"
    world = World(bad, *[ended(f"q{number}", created=number) for number in range(3)])
    assert await world.pruned(2) == ["bad", "q1", "q2"]


async def test_a_run_that_cannot_be_read_holds_up_no_other() -> None:
    world = World(*[ended(f"q{number}", created=number) for number in range(4)])
    world.cluster.refuse("get", RUNS, api_error(500, "InternalError", "no"))
    assert await world.pruned(2) == ["q0", "q2", "q3"]


async def test_a_run_that_somebody_else_deletes_meanwhile_is_one_of_the_surplus() -> None:
    world = World(*[ended(f"q{number}", created=number) for number in range(4)])
    world.cluster.meanwhile("get", RUNS, lambda: world.cluster.remove(RUNS, "q0", NAMESPACE))
    assert await world.pruned(2) == ["q2", "q3"]


async def test_an_end_that_is_still_to_come_counts_as_the_creation() -> None:
    world = World(*[ended(f"q{number}", created=number, end=100 * 365 * 24 * HOUR) for number in range(3)])
    assert await world.pruned(2) == ["q1", "q2"]
    assert await world.pruned(49) == []


async def test_an_end_by_a_clock_that_is_a_little_ahead_is_an_end() -> None:
    long = [ended(f"long{number}", created=number, end=3 * HOUR + 60) for number in range(4)]
    world = World(*long)
    assert len(await world.pruned(3)) == 4
    assert len(await world.pruned(4.1)) == 2


async def test_one_pruning_reads_so_many_runs_of_a_key_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_pruner, "READS_PER_KEY", 3)
    world = World(*[ended(f"q{number}", created=number) for number in range(9)], ended("mine", key="quiet"))
    assert len(await world.pruned(2)) == 7
    assert len([verb for verb, _, _ in world.cluster.reads if verb == "get"]) == 3
    for _ in range(3):
        left = await world.pruned(2)
    assert left == ["mine", "q7", "q8"]
