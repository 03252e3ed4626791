"""Runs of many instances in one process: one watch, and for each instance the queue and the limits that it has alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_api.web_endpoint import RateLimit
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import RunBroker
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.rate_limits import RateLimiter
from sympozium_runs.replica_usage import ReplicaUsage
from sympozium_runs.run_queue import QueueFull, RunQueues
from sympozium_runs.run_request import RunRequest
from sympozium_runs.run_store import RunStore
from sympozium_runs.run_watch import RunWatch
from sympozium_runs.runs import Runs

HERE, ELSEWHERE, TWIN = ("default", "demo"), ("default", "other"), ("team-b", "demo")
"""Two instances of a namespace, and one with a known name in another namespace."""
REPLY_TO = "http://10.0.0.1:8081"
LIMIT = RateLimit(requests_per_minute=60, burst_size=2)


class TestTheQueues:
    def test_each_instance_has_slots_of_its_own(self) -> None:
        queues = RunQueues()
        for instance in (HERE, ELSEWHERE, TWIN):
            queues.add((instance[0], f"{instance[1]}-1"), instance, "a")
        assert [queues.of(instance).used for instance in (HERE, ELSEWHERE, TWIN)] == [1, 1, 1]
        with pytest.raises(QueueFull):
            queues.of(HERE).reserve("demo-2", "a", 1)
        assert len(queues) == 3

    def test_runs_with_the_same_name_in_two_namespaces_are_two_runs(self) -> None:
        queues = RunQueues()
        for instance in (HERE, TWIN):
            queues.add((instance[0], "demo-1"), instance, "a")
        queues.remove(("default", "demo-1"))
        assert list(queues) == [("team-b", "demo-1")]
        assert (queues.of(HERE).used, queues.of(TWIN).used) == (0, 1)

    def test_fairness_among_keys_holds_where_an_instance_is_shared(self) -> None:
        queues = RunQueues(shared=lambda instance: instance == HERE)
        for instance in (HERE, ELSEWHERE):
            for number in range(5):
                queues.add((instance[0], f"{instance[1]}-{number}"), instance, "greedy")
        queues.of(ELSEWHERE).reserve("other-5", "greedy", 10)
        with pytest.raises(QueueFull):
            queues.of(HERE).reserve("demo-5", "greedy", 10)

    def test_a_queue_without_runs_is_forgotten_and_one_with_a_run_under_creation_is_kept(self) -> None:
        queues = RunQueues()
        for number in range(1000):
            instance = ("default", f"demo-{number}")
            queues.add(("default", f"run-{number}"), instance, "a")
            queues.remove(("default", f"run-{number}"))
        assert len(queues._queues) == 0
        queue = queues.of(HERE)
        queue.reserve("demo-1", "a", 1)
        assert queues.of(HERE).used == 1


def test_keys_with_the_same_name_at_two_instances_have_a_bucket_each() -> None:
    limiter = RateLimiter(clock=FakeClock().monotonic)
    assert [limiter.take((*HERE, "api-key"), LIMIT).allowed for _ in range(3)] == [True, True, False]
    assert limiter.take((*ELSEWHERE, "api-key"), LIMIT).allowed
    assert limiter.take((*TWIN, "api-key"), LIMIT).allowed


def test_a_run_of_another_replica_is_charged_to_the_key_of_its_instance() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock=clock.monotonic)
    usage = ReplicaUsage(limiter, lambda _: LIMIT, clock, REPLY_TO)
    for _ in range(2):
        usage.charge(AgentRun.model_validate(run(ELSEWHERE, "other-1", key_id="api-key")), began_before=False)
    assert not limiter.take((*ELSEWHERE, "api-key"), LIMIT).allowed
    assert limiter.take((*HERE, "api-key"), LIMIT).allowed


class Process:
    """A process that serves all instances of a cluster."""

    def __init__(self) -> None:
        self.kubernetes, self.broker, self.queues = FakeKubernetes(), RunBroker(), RunQueues()
        store, metrics, clock = RunStore(self.kubernetes, FakeClock()), AgentApiMetrics(), FakeClock()
        idle = IdlePods(REPLY_TO, metrics)
        self.runs = Runs(store, self.broker, self.queues, clock, idle=idle, metrics=metrics)
        self.watch = RunWatch(
            self.kubernetes,
            None,
            None,
            store=store,
            broker=self.broker,
            runs=self.runs,
            queues=self.queues,
            unreadable=metrics.unreadable,
        )

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self.watch.run())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    def instance(self, key: tuple[str, str], *, slots: int) -> SympoziumInstance:
        body = {
            "apiVersion": names.API_VERSION,
            "kind": INSTANCES.kind,
            "metadata": {"namespace": key[0], "name": key[1]},
            "spec": {"agents": {"default": {"model": "m"}}, "maxConcurrentRuns": slots, "maxQueuedRuns": 0},
        }
        return SympoziumInstance.model_validate(self.kubernetes.put(body))

    async def has(self, open_runs: int) -> None:
        async with asyncio.timeout(60):
            while not self.watch.synced or len(self.queues) != open_runs:
                await asyncio.sleep(0.001)


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    process = Process()
    async with process.watching():
        yield process


async def test_one_watch_brings_the_ends_of_all_instances_runs_to_their_subscribers(process: Process) -> None:
    instances = {key: f"{key[1]}-1" for key in (HERE, ELSEWHERE, TWIN)}
    subscribers = [process.broker.subscribe((key[0], name)) for key, name in instances.items()]
    for key, name in instances.items():
        process.kubernetes.put(run(key, name))
    await process.has(open_runs=3)
    assert len(process.kubernetes._watches) == 1
    for key, name in instances.items():
        process.kubernetes.put(run(key, name) | {"status": {"phase": "Succeeded", "result": key[0]}})
    ends = [await asyncio.wait_for(subscriber.end(), 60) for subscriber in subscribers]
    assert [end["type"] for end in ends] == ["done"] * 3
    await process.has(open_runs=0)


async def test_a_full_instance_refuses_and_another_instance_takes_a_run(process: Process) -> None:
    full, free = process.instance(HERE, slots=1), process.instance(TWIN, slots=1)
    first = await process.runs.start(full, request())
    with pytest.raises(QueueFull):
        await process.runs.start(full, request())
    second = await process.runs.start(free, request())
    await process.has(open_runs=2)
    stored = [process.kubernetes.object(RUNS, handle.name, handle.run.metadata.namespace) for handle in (first, second)]
    assert [(body["metadata"]["namespace"], body["spec"]["agentRef"]) for body in stored] == [HERE, TWIN]
    first.close()
    second.close()


def request() -> RunRequest:
    return RunRequest({"messages": [{"role": "user", "content": "hello"}]}, "api", "user")


def run(instance: tuple[str, str], name: str, *, key_id: str | None = None) -> Object:
    annotations = {names.ANNOTATION_KEY_ID: key_id} if key_id else {}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"namespace": instance[0], "name": name, "annotations": annotations},
        "spec": {"agentRef": instance[1], "mode": "task", "task": "hello"},
    }
