"""Runs that end elsewhere reach their caller, whatever the watch missed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, api_error

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import RunBroker
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.run_queue import RunQueues
from sympozium_runs.run_store import RunStore
from sympozium_runs.run_watch import RunWatch
from sympozium_runs.runs import Runs

KEY = ("default", "r1")
ENDED = {"phase": "Succeeded", "result": "Hello", "finishReason": "stop"}


def run(**status: object) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"name": "r1", "namespace": "default", "labels": {names.LABEL_INSTANCE: "demo"}},
        "spec": {"agentRef": "demo", "mode": "task", "task": "hello"},
    } | ({"status": status} if status else {})


@dataclass
class World:
    kubernetes: FakeKubernetes
    broker: RunBroker
    watch: RunWatch
    queues: RunQueues
    metrics: AgentApiMetrics

    async def has(self, open_runs: int) -> None:
        async with asyncio.timeout(60):
            while not self.watch.synced or len(self.queues) != open_runs:
                await asyncio.sleep(0.001)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    kubernetes, broker = FakeKubernetes(), RunBroker()
    store, queues, metrics = RunStore(kubernetes, FakeClock()), RunQueues(), AgentApiMetrics()
    runs = Runs(store, broker, queues, FakeClock(), idle=IdlePods("http://here", metrics), metrics=metrics)
    watch = RunWatch(
        kubernetes,
        "default",
        "demo",
        store=store,
        broker=broker,
        runs=runs,
        queues=queues,
        unreadable=metrics.unreadable,
    )
    watching = asyncio.create_task(watch.run())
    yield World(kubernetes, broker, watch, queues, metrics)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def ends(world: World) -> None:
    world.kubernetes.put(run(**ENDED))


def is_deleted(world: World) -> None:
    world.kubernetes.remove(RUNS, "r1")


@pytest.mark.parametrize("missed", [False, True])
@pytest.mark.parametrize(("happens", "record"), [(ends, "done"), (is_deleted, "error")])
async def test_the_end_of_a_run_reaches_its_subscriber(
    world: World, missed: bool, happens: Callable[[World], None], record: str
) -> None:
    subscriber = world.broker.subscribe(KEY)
    world.kubernetes.put(run())
    await world.has(open_runs=1)

    if missed:
        world.kubernetes.expire_watches()
    happens(world)

    assert (await asyncio.wait_for(subscriber.end(), 60))["type"] == record
    await world.has(open_runs=0)


async def test_a_run_that_was_created_and_ended_during_a_gap_reaches_its_subscriber(world: World) -> None:
    await world.has(open_runs=0)
    subscriber = world.broker.subscribe(KEY)
    world.kubernetes.expire_watches()
    world.kubernetes.put(run(**ENDED))
    assert (await asyncio.wait_for(subscriber.end(), 60))["type"] == "done"


async def test_a_run_that_is_still_being_created_is_waited_for(world: World) -> None:
    await world.has(open_runs=0)
    subscriber = world.broker.subscribe(KEY)
    world.kubernetes.expire_watches()
    assert await subscriber.next(within=0.3) is None  # long enough for the list that follows


@pytest.mark.parametrize("failure", [ApiUnavailable("away"), api_error(403, "Forbidden")])
async def test_a_failed_read_is_repeated(world: World, failure: Exception) -> None:
    subscriber = world.broker.subscribe(KEY)
    world.kubernetes.put(run())
    await world.has(open_runs=1)
    world.kubernetes.refuse("get", RUNS, failure)
    ends(world)
    assert (await asyncio.wait_for(subscriber.end(), 60))["type"] == "done"


async def test_each_new_run_is_reported_once_and_those_created_before_the_watch_oldest_first() -> None:
    kubernetes, broker, queues = FakeKubernetes(), RunBroker(), RunQueues()
    store, reported, metrics = RunStore(kubernetes, FakeClock()), list[tuple[str, bool]](), AgentApiMetrics()

    def on_new_run(found: AgentRun, /, *, began_before: bool) -> None:
        reported.append((found.metadata.name, began_before))

    for name, created in (("a", "2026-01-01T00:00:02Z"), ("b", "2026-01-01T00:00:01Z")):
        kubernetes.put(run() | {"metadata": run()["metadata"] | {"name": name, "creationTimestamp": created}})
    runs = Runs(store, broker, queues, FakeClock(), idle=IdlePods("http://here", metrics), metrics=metrics)
    watch = RunWatch(
        kubernetes,
        "default",
        "demo",
        store=store,
        broker=broker,
        runs=runs,
        queues=queues,
        unreadable=metrics.unreadable,
        on_new_run=on_new_run,
    )
    watching = asyncio.create_task(watch.run())
    world = World(kubernetes, broker, watch, queues, metrics)
    await world.has(open_runs=2)
    kubernetes.put(run())
    await world.has(open_runs=3)
    kubernetes.put(run(phase="Running"))
    kubernetes.expire_watches()
    ends(world)
    await world.has(open_runs=2)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert reported == [("b", True), ("a", True), ("r1", False)]


async def test_ended_runs_that_nobody_waits_for_are_not_read(world: World) -> None:
    world.kubernetes.put(run())
    await world.has(open_runs=1)
    ends(world)
    await world.has(open_runs=0)
    assert [read for read in world.kubernetes.reads if read[0] == "get"] == []


async def test_a_read_that_fails_holds_up_no_other_run(world: World) -> None:
    world.broker.subscribe(KEY)
    world.kubernetes.put(run())
    await world.has(open_runs=1)
    world.kubernetes.refuse("get", RUNS, *[api_error(403, "Forbidden")] * 20)
    ends(world)
    await world.has(open_runs=0)
    world.kubernetes.put(run() | {"metadata": run()["metadata"] | {"name": "r2"}})
    await world.has(open_runs=1)


async def test_a_run_that_cannot_be_read_is_skipped_and_counted(world: World) -> None:
    for name, spec in (("strange", {"cancel": "perhaps"}), ("r1", {})):
        world.kubernetes.put(run() | {"metadata": run()["metadata"] | {"name": name}, "spec": run()["spec"] | spec})
    await world.has(open_runs=1)
    world.kubernetes.expire_watches()
    world.kubernetes.put(run() | {"metadata": run()["metadata"] | {"name": "r2"}})
    await world.has(open_runs=2)
    count = world.metrics.registry.get_sample_value("sympozium_unreadable_objects_total", {"kind": "AgentRun"})
    assert count is not None
    assert count >= 1
