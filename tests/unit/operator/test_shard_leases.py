"""Election of the holders of several shards: replicas that come, are killed, lose the API server and have wrong clocks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.virtual_loop import LoopClock, run

from sympozium_api import names, operator_lease
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import LEASES, Object, ResourceType
from sympozium_operator.cluster.first import first
from sympozium_operator.cluster.lease import LeaseLost
from sympozium_operator.cluster.shard_leases import ShardLeases

SYSTEM = "system"
CALM = 90.0
"""Seconds after the last event in which every shard must be held, and by each replica its share."""


class Link(FakeKubernetes):
    """One replica's way to the API server, which can be cut."""

    def __init__(self, cluster: FakeKubernetes) -> None:
        super().__init__(cluster.now)
        self.cluster = cluster
        self.is_cut = False

    async def get(self, kind: ResourceType, namespace: str, name: str) -> Object:
        return await self._through(lambda: self.cluster.get(kind, namespace, name))

    async def create(self, kind: ResourceType, namespace: str, body: Object, **more: bool) -> Object:
        return await self._through(lambda: self.cluster.create(kind, namespace, body, **more))

    async def replace(self, kind: ResourceType, namespace: str, body: Object, **more: bool) -> Object:
        return await self._through(lambda: self.cluster.replace(kind, namespace, body, **more))

    async def _through(self, call: Callable[[], Awaitable[Object]]) -> Object:
        await asyncio.sleep(0.01)
        if self.is_cut:
            raise ApiUnavailable("away")
        found = await call()
        await asyncio.sleep(0.01)
        return found


@dataclass
class Replica:
    """One process: it works on what it holds, and begins again when it has lost a Lease."""

    world: "World"
    name: str
    shards: int
    clock: LoopClock
    works_on: frozenset[int] = frozenset()
    begun: int = 0
    """Times that its work began."""

    def __post_init__(self) -> None:
        self.link = Link(self.world.cluster)
        self.leases = self._election()
        self._process = asyncio.ensure_future(self._lives())

    def kill(self) -> None:
        """End without a word."""
        self._process.cancel()
        self.works_on = frozenset()
        self.world.replicas.remove(self)

    async def stop(self) -> None:
        """End as on SIGTERM."""
        self._process.cancel()
        self.works_on = frozenset()
        self.world.replicas.remove(self)
        await self.leases.release()

    def _election(self) -> ShardLeases:
        return ShardLeases(self.link, SYSTEM, self.name, shards=self.shards, clock=self.clock, sleep=self.clock.sleep)

    async def _lives(self) -> None:
        while True:
            self.leases = self._election()
            try:
                await first(self.leases.keep(), self._work())
            except LeaseLost:
                self.works_on = frozenset()
                await self.leases.release()

    async def _work(self) -> None:
        while True:
            self.works_on = await self.leases.assigned()
            self.begun += 1
            self.world.check()
            await self.leases.changed(self.works_on)
            self.works_on = frozenset()


@dataclass
class World:
    """An API server and the replicas that run."""

    cluster: FakeKubernetes = field(default_factory=FakeKubernetes)
    replicas: list[Replica] = field(default_factory=list)
    doubled: list[object] = field(default_factory=list)
    """What replicas worked on when two of them worked on the same namespaces."""
    _names: int = 0

    def start(self, shards: int, *, rate: float = 1.0, offset: float = 0.0) -> Replica:
        self._names += 1
        replica = Replica(self, f"pod-{self._names}", shards, LoopClock(rate=rate, offset=offset))
        self.replicas.append(replica)
        return replica

    def check(self) -> None:
        """Record it if two replicas work on one shard, or with another number of shards."""
        working = [replica for replica in self.replicas if replica.works_on]
        held = [shard for replica in working for shard in replica.works_on]
        if len(held) != len(set(held)) or len({replica.shards for replica in working}) > 1:
            self.doubled.append([(each.name, each.shards, each.works_on) for each in working])

    def shares(self) -> list[int]:
        """Numbers of shards that replicas work on, the largest first."""
        return sorted((len(replica.works_on) for replica in self.replicas), reverse=True)


def test_a_lone_replica_holds_all_shards() -> None:
    async def story() -> None:
        world = World()
        world.start(4)
        await asyncio.sleep(5)
        assert world.shares() == [4]
        found = [world.cluster.object(LEASES, operator_lease.lease_name(shard), SYSTEM) for shard in range(4)]
        assert {lease["spec"]["holderIdentity"] for lease in found} == {"pod-1/4"}

    run(story)


def test_a_second_replica_gets_half_and_the_first_one_takes_over_when_it_dies() -> None:
    async def story() -> None:
        world = World()
        survivor = world.start(2)
        await asyncio.sleep(10)
        second = world.start(2)
        await asyncio.sleep(20)
        assert world.shares() == [1, 1]
        assert survivor.works_on == {0}  # what the whole installation needs once need not move
        begun = survivor.begun
        await asyncio.sleep(300)
        assert survivor.begun == begun  # what is even stays
        second.kill()
        await asyncio.sleep(20)
        assert world.shares() == [2]

    run(story)


def test_a_replica_that_stops_is_followed_at_once() -> None:
    async def story() -> None:
        world = World()
        world.start(2)
        second = world.start(2)
        await asyncio.sleep(30)
        assert world.shares() == [1, 1]
        await second.stop()
        await asyncio.sleep(3)
        assert world.shares() == [2]

    run(story)


def test_one_shard_is_as_without_shards() -> None:
    """Its Lease has no number and no annotation, another replica waits, and no further Lease is read or made."""

    async def story() -> None:
        world = World()
        world.start(1)
        await asyncio.sleep(0.1)
        assert world.shares() == [1]
        world.start(1)
        await asyncio.sleep(100)
        assert world.shares() == [1, 0]
        assert world.cluster.names(LEASES) == ["sympozium-operator"]
        lease = world.cluster.object(LEASES, "sympozium-operator", SYSTEM)
        assert lease["spec"]["holderIdentity"] == "pod-1"
        assert not lease["metadata"].get("annotations")
        assert {name for _, _, name in world.cluster.reads} == {"sympozium-operator"}

    run(story)


def test_replicas_of_an_older_version_are_waited_for() -> None:
    """Their Lease has no number, which means one shard."""

    async def story() -> None:
        world = World()
        older = world.start(1)
        await asyncio.sleep(1)
        world.start(2)
        world.start(2)
        await asyncio.sleep(30)
        assert world.shares() == [1, 0, 0]
        assert world.cluster.names(LEASES) == ["sympozium-operator"]
        await older.stop()
        await asyncio.sleep(CALM)
        assert world.shares() == [1, 1]

    run(story)


def test_fewer_shards_begin_once_all_replicas_with_more_have_stopped() -> None:
    async def story() -> None:
        world = World()
        replicas = [world.start(4), world.start(4)]
        await asyncio.sleep(CALM)
        assert world.shares() == [2, 2]
        world.start(1)
        await asyncio.sleep(30)
        assert world.shares() == [2, 2, 0]
        await next(replica for replica in replicas if 0 in replica.works_on).stop()
        await asyncio.sleep(CALM)
        assert sum(world.shares()) in (
            1,
            4,
        )  # whichever took the first Lease
        assert not world.doubled

    run(story)


def test_a_request_of_a_replica_that_is_gone_moves_nothing_for_long() -> None:
    async def story() -> None:
        world = World()
        world.start(2)
        await asyncio.sleep(10)
        lease = world.cluster.object(LEASES, "sympozium-operator-1", SYSTEM)
        world.cluster.put(lease | {"metadata": lease["metadata"] | {"annotations": {names.ANNOTATION_ASKED_BY: "x/2"}}})
        await asyncio.sleep(30)
        assert world.shares() == [2]

    run(story)


Event = tuple[float, Literal["start", "kill", "stop", "cut", "mend"], int]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.5, 2.0, 6.0, 13.0, 17.0)),
        st.sampled_from(("start", "kill", "stop", "cut", "mend")),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=12,
)
RATES = st.lists(st.sampled_from((0.95, 1.0, 1.05)), min_size=3, max_size=3)
CUT_OFF: list[Event] = [(0, "start", 0), (6, "start", 0), (17, "cut", 0), (17, "mend", 2), (6, "mend", 2)]
CUT_OFF_WHILE_THE_FIRST_STOPS: list[Event] = [
    *((6.0, "start", 0), (6.0, "start", 0), (17.0, "start", 0)),
    *((17.0, "mend", 0), (0.5, "cut", 1), (0.0, "stop", 0), (6.0, "mend", 2), (6.0, "mend", 2)),
]
CUT_OFF_SHORTLY: list[Event] = [*CUT_OFF_WHILE_THE_FIRST_STOPS[:6], (2.0, "mend", 0)]
ROLLOUT: list[Event] = [(0, "start", 0), (6, "start", 0), (13, "start", 0), (2, "stop", 0), (0, "stop", 0)]


async def live(events: list[Event], numbers: list[int], rates: list[float]) -> World:
    """Let replicas live, the n-th of which has the n-th number of shards."""
    world, born = World(), 0
    for wait, what, which in events:
        await asyncio.sleep(wait)
        replica = world.replicas[which] if which < len(world.replicas) else None
        if what == "start" and len(world.replicas) < 3:
            world.start(numbers[min(born, len(numbers) - 1)], rate=rates[born % 3], offset=1000.0 * born)
            born += 1
        elif what == "kill" and replica:
            replica.kill()
        elif what == "stop" and replica and not replica.link.is_cut:
            await replica.stop()
        elif what in ("cut", "mend") and replica:
            replica.link.is_cut = what == "cut"
    for replica in world.replicas:
        replica.link.is_cut = False
    if not world.replicas:
        world.start(numbers[-1])
    await asyncio.sleep(CALM)
    assert not world.doubled
    return world


@given(EVENTS, st.sampled_from((1, 2, 3, 4, 7)), RATES)
@settings(max_examples=60, deadline=None)
@example(ROLLOUT, 4, [1.0, 1.0, 1.0])
@example(CUT_OFF, 2, [0.95, 1.05, 1.0])
def test_no_two_replicas_hold_one_shard_and_each_is_held_evenly(
    events: list[Event], shards: int, rates: list[float]
) -> None:
    async def story() -> None:
        world = await live(events, [shards], rates)
        assert sum(world.shares()) == shards, world.shares()
        assert world.shares()[0] - world.shares()[-1] <= 1, world.shares()

    run(story)


@given(EVENTS, st.lists(st.sampled_from((1, 2, 4)), min_size=2, max_size=4), RATES)
@settings(max_examples=60, deadline=None)
@example(ROLLOUT, [1, 1, 4], [1.0, 1.0, 1.0])
@example(ROLLOUT, [4, 4, 1], [1.0, 1.0, 1.0])
@example(CUT_OFF_WHILE_THE_FIRST_STOPS, [4, 4, 2], [1.0, 1.0, 1.0])
@example(CUT_OFF_SHORTLY, [4, 4, 2], [1.0, 1.0, 1.0])
def test_replicas_with_another_number_of_shards_never_work_at_once(
    events: list[Event], numbers: list[int], rates: list[float]
) -> None:
    async def story() -> None:
        world = await live(events, numbers, rates)
        working = [replica for replica in world.replicas if replica.works_on]
        assert sum(len(replica.works_on) for replica in working) == working[0].shards

    run(story)
