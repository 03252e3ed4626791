"""Election of the holders of several shards: replicas that come, are killed, lose the API server and have wrong clocks."""

import asyncio
from typing import Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fakes.virtual_loop import run
from tests.unit.operator.shard_world import CALM, SYSTEM, World

from sympozium_api import operator_lease
from sympozium_api.resources import LEASES


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
        world.ask(1, "x/2")
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
