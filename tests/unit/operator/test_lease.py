"""Leadership: two contenders and one Lease, with time moved by hand."""

import asyncio

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, api_error

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import LEASES
from sympozium_operator.cluster.lease import Lease, LeaseLost


class World:
    """An API server, a clock, and sleeps that move the clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeKubernetes(self.clock.now)

    def contender(self, identity: str) -> Lease:
        return Lease(self.cluster, "system", "operator", identity, clock=self.clock, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    @property
    def holder(self) -> str:
        return str(self.cluster.object(LEASES, "operator", "system")["spec"]["holderIdentity"])


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_one_takes_a_lease_that_is_not_there(world: World) -> None:
    await world.contender("one").acquire()
    assert world.holder == "one"
    assert world.clock.seconds == 0


async def test_the_second_one_waits_until_the_first_has_been_silent_for_the_whole_duration(world: World) -> None:
    await world.contender("one").acquire()
    world.clock.advance(14)  # what it sees now may be as fresh as can be: its count begins here
    await world.contender("two").acquire()
    assert world.holder == "two"
    assert world.clock.seconds >= 14 + 15


async def test_a_released_lease_is_taken_at_once(world: World) -> None:
    one = world.contender("one")
    await one.acquire()
    await one.release()
    await world.contender("two").acquire()
    assert world.clock.seconds == 0
    assert world.cluster.object(LEASES, "operator", "system")["spec"]["leaseTransitions"] == 2


async def test_a_holder_that_renews_is_not_followed_by_another(world: World) -> None:
    one, two = world.contender("one"), world.contender("two")
    await one.acquire()
    holding, waiting = asyncio.create_task(one.hold()), asyncio.create_task(two.acquire())
    while world.clock.seconds < 100:
        await asyncio.sleep(0)
    assert not holding.done()
    assert not waiting.done()
    assert world.holder == "one"
    for task in (holding, waiting):
        task.cancel()
    await asyncio.gather(holding, waiting, return_exceptions=True)


async def test_a_holder_that_cannot_renew_stops_before_another_may_start(world: World) -> None:
    one = world.contender("one")
    await one.acquire()
    world.cluster.refuse("get", LEASES, *[ApiUnavailable("away")] * 20)
    with pytest.raises(LeaseLost):
        await one.hold()
    assert 10 <= world.clock.seconds < 15


async def test_a_holder_survives_a_short_outage(world: World) -> None:
    one = world.contender("one")
    await one.acquire()
    world.cluster.refuse("replace", LEASES, ApiUnavailable("away"), api_error(409, "Conflict"))
    holding = asyncio.create_task(one.hold())
    while world.clock.seconds < 60:
        await asyncio.sleep(0)
    assert not holding.done()
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


async def test_a_holder_that_finds_another_one_stops(world: World) -> None:
    one = world.contender("one")
    await one.acquire()
    world.cluster.object(LEASES, "operator", "system")["spec"]["holderIdentity"] = "two"
    with pytest.raises(LeaseLost, match="two"):
        await one.hold()


async def test_of_two_that_take_a_free_lease_at_once_one_wins(world: World) -> None:
    one, two = world.contender("one"), world.contender("two")
    await one.acquire()
    await one.release()
    world.cluster.meanwhile(
        "replace",
        LEASES,
        lambda: world.cluster.put(
            world.cluster.object(LEASES, "operator", "system")
            | {"spec": {"holderIdentity": "x", "leaseDurationSeconds": 15}}
        ),
    )
    waiting = asyncio.create_task(two.acquire())
    while world.clock.seconds < 4:
        await asyncio.sleep(0)
    assert world.holder == "x"
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_releasing_takes_nothing_from_another_holder(world: World) -> None:
    one = world.contender("one")
    await one.acquire()
    world.cluster.object(LEASES, "operator", "system")["spec"]["holderIdentity"] = "two"
    await one.release()
    await one.release()
    assert world.holder == "two"
