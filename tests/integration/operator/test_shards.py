"""Two operators that divide the namespaces: each makes half of the Jobs, and after a kill none is lost or made twice."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.virtual_loop import LoopClock, run
from tests.unit.operator.objects import SYSTEM, at, instance_object, pack_object, run_object
from tests.unit.operator.operator_world import operator_settings

from sympozium_api import names, terminal_status
from sympozium_api.client.collection import Collection, Reading
from sympozium_api.resources import INSTANCES, JOBS, LEASES, RUNS, SKILL_PACKS, Object, ResourceType
from sympozium_operator.cluster.first import first
from sympozium_operator.cluster.shard_leases import ShardLeases
from sympozium_operator.leader import Leader
from sympozium_operator.scheduling.shards import Shards

SHARDS = 4
WHOLE = Reading()
NAMESPACES = [f"team-{number}" for number in range(24)]


class Link(FakeKubernetes):
    """One operator's way to the API server, which counts the Jobs that it makes and knows what else it writes."""

    def __init__(self, cluster: FakeKubernetes) -> None:
        super().__init__(cluster.now)
        self._cluster = cluster
        for shared in ("objects", "reads", "writes", "_watches", "_changes", "_versions", "_managers", "_pages"):
            setattr(self, shared, getattr(cluster, shared))
        self.jobs: list[tuple[str, str]] = []
        """Namespace and name of every Job that it has made."""
        self.wrote: set[tuple[str, str]] = set()
        """Plural and namespace of what it has changed."""

    async def create(self, kind: ResourceType, namespace: str, body: Object, **more: Any) -> Object:
        await asyncio.sleep(0.002)
        created = await super().create(kind, namespace, body, **more)
        if kind is JOBS:
            self.jobs.append((namespace, body["metadata"]["name"]))
        await asyncio.sleep(0.002)
        return created

    async def collection(
        self, kind: ResourceType, namespace: str | None, reading: Reading = WHOLE, /, **selectors: str
    ) -> Collection:
        found = await super().collection(kind, namespace, reading, **selectors)
        await asyncio.sleep(0.002)
        return found

    async def patch(self, kind: ResourceType, namespace: str, name: str, body: Object, **more: Any) -> Object:
        await asyncio.sleep(0.002)
        self.wrote.add((kind.plural, namespace))
        return await super().patch(kind, namespace, name, body, **more)


class Operator:
    """One process."""

    def __init__(self, cluster: FakeKubernetes, name: str, shards: int = SHARDS) -> None:
        clock, settings = LoopClock(), operator_settings(SYMPOZIUM_SHARDS=str(shards))
        self.link = Link(cluster)
        self.leader = Leader(self.link, clock, settings)
        self.leases = ShardLeases(self.link, SYSTEM, name, shards=shards, clock=clock, sleep=clock.sleep)
        self._process = asyncio.ensure_future(first(self.leases.keep(), self.leader.lead(self.leases)))

    async def kill(self) -> None:
        """End in the middle of everything, without a word."""
        self._process.cancel()
        await asyncio.gather(self._process, return_exceptions=True)
        await self.leader.close()

    def metric(self, name: str) -> float:
        found = self.leader.metrics.registry.get_sample_value(f"sympozium_operator_{name}")
        return found or 0


def moved(body: Object, namespace: str, **metadata: Any) -> Object:
    """An object as one of another namespace."""
    name = body["metadata"]["name"]
    return body | {"metadata": body["metadata"] | {"namespace": namespace, "uid": f"{namespace}-{name}"} | metadata}


class World:
    """A cluster with an instance in each of many namespaces; a node that answers every run."""

    def __init__(self) -> None:
        self.cluster = FakeKubernetes(LoopClock().now)
        self.cluster.put(pack_object())
        for namespace in NAMESPACES:
            self.cluster.put(moved(instance_object(maxConcurrentRuns=2), namespace))
        self.most_at_once = Counter[str]()
        self._asked = 0

    @contextmanager
    def nodes(self) -> Iterator[None]:
        answering = asyncio.ensure_future(self._answer())
        try:
            yield
        finally:
            answering.cancel()

    async def ask(self, runs: int, per_second: float) -> None:
        for _ in range(runs):
            namespace, name = NAMESPACES[self._asked % len(NAMESPACES)], f"q{self._asked}"
            created = at(asyncio.get_running_loop().time())
            self.cluster.put(moved(run_object(name), namespace, creationTimestamp=created))
            self._asked += 1
            await asyncio.sleep(1 / per_second)

    def open_runs(self) -> list[Object]:
        runs = [body for (plural, _, _), body in self.cluster.objects.items() if plural == RUNS.plural]
        return [body for body in runs if not body["status"].get("completedAt")]

    async def _answer(self) -> None:
        """End each run that has a Job, a second after the Job was seen."""
        while True:
            await asyncio.sleep(1)
            open_runs, jobs = self.open_runs(), Counter[str]()
            for body in open_runs:
                namespace, name, uid = (body["metadata"][part] for part in ("namespace", "name", "uid"))
                if (JOBS.plural, namespace, names.job(name, uid)) in self.cluster.objects:
                    jobs[namespace] += 1
                    self.cluster.put(body | {"status": answered(self.cluster, body)})
            self.most_at_once |= jobs


def answered(cluster: FakeKubernetes, run: Object) -> Object:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    record: Any = {"type": "done", "choices": [choice], "usage": {}, "durationMs": 1}
    return terminal_status.status_of(record, job_name=None, pod_name=None, started_at=None, now=cluster.now())


def test_each_of_two_operators_makes_its_half_of_the_jobs() -> None:
    async def story() -> None:
        world = World()
        one, two = Operator(world.cluster, "one"), Operator(world.cluster, "two")
        await asyncio.sleep(30)
        assert one.metric("shards_held") == two.metric("shards_held") == SHARDS / 2
        with world.nodes():
            await world.ask(240, per_second=12)
            await asyncio.sleep(20)
        made = one.link.jobs + two.link.jobs
        assert not world.open_runs()
        assert len(made) == len(set(made)) == 240
        assert 80 <= len(one.link.jobs) <= 160
        assert not {namespace for namespace, _ in one.link.jobs} & {namespace for namespace, _ in two.link.jobs}
        assert max(world.most_at_once.values()) <= 2
        both = [each.link.wrote for each in (one, two)]
        assert sum((SKILL_PACKS.plural, SYSTEM) in wrote for wrote in both) == 1
        assert not {found for found in both[0] & both[1] if found[0] in (RUNS.plural, INSTANCES.plural)}

    run(story)


@pytest.mark.parametrize("moment", [3.0, 3.003, 3.5])
def test_a_killed_operator_is_followed_without_a_run_lost_or_doubled(moment: float) -> None:
    async def story() -> None:
        world = World()
        one, two = Operator(world.cluster, "one"), Operator(world.cluster, "two")
        await asyncio.sleep(30)
        with world.nodes():
            asking = asyncio.ensure_future(world.ask(300, per_second=12))
            await asyncio.sleep(moment)
            before = len(two.link.jobs)
            await two.kill()
            await asyncio.sleep(10)
            third = Operator(world.cluster, "three")
            await asking
            await asyncio.sleep(60)
        made = [job for operator in (one, two, third) for job in operator.link.jobs]
        assert not world.open_runs()
        assert len(made) == len(set(made)) == 300
        assert before
        assert len(two.link.jobs) - before <= 1
        assert one.metric("shards_held") == third.metric("shards_held") == SHARDS / 2
        assert max(world.most_at_once.values()) <= 2

    run(story)


def test_an_installation_with_one_operator_that_gets_shards_loses_nothing() -> None:
    """As an upgrade does: operators with one shard go while those with several come."""

    async def story() -> None:
        world = World()
        old = Operator(world.cluster, "old", shards=1)
        with world.nodes():
            asking = asyncio.ensure_future(world.ask(120, per_second=6))
            await asyncio.sleep(3)
            new = [Operator(world.cluster, "one"), Operator(world.cluster, "two")]
            await asyncio.sleep(5)
            assert not any(operator.link.jobs for operator in new)
            await old.kill()
            await old.leases.release()
            await asking
            await asyncio.sleep(60)
        made = [job for operator in (old, *new) for job in operator.link.jobs]
        assert not world.open_runs()
        assert len(made) == len(set(made)) == 120
        assert [operator.metric("shards_held") for operator in new] == [SHARDS / 2, SHARDS / 2]
        holder = world.cluster.object(LEASES, "sympozium-operator", SYSTEM)["spec"]["holderIdentity"]
        assert holder in ("one/4", "two/4")

    run(story)


def test_the_shards_of_namespaces_are_even_and_stay() -> None:
    shards = [Shards(SYSTEM, 4, frozenset({number})) for number in range(4)]
    owners = [[part.own(f"namespace-{number}") for part in shards] for number in range(1000)]
    assert all(sum(own) == 1 for own in owners)
    assert all(200 <= sum(own[number] for own in owners) <= 300 for number in range(4))
    assert Shards(SYSTEM, 4).of("namespace-1") == Shards(SYSTEM, 4, frozenset({2})).of("namespace-1")
    assert shards[0].own(SYSTEM)
