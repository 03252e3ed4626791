"""Refill of warm pools on a node that starts 2.2 pods a second: callers come first, and wait in order."""

import random

import pytest
from tests.unit.operator.node_simulation import ALONE_SECONDS, CAPACITY, Simulation

ONE_START = ALONE_SECONDS + 0.1
"""Seconds of one pod's start and of the operator's part in it, which a request waits beside its backlog."""


def paced(per_second: float, count: int) -> list[float]:
    return [number / per_second for number in range(count)]


def scattered(per_second: float, count: int, seed: int) -> list[float]:
    """Times of requests that come independently of each other."""
    chance, time, found = random.Random(seed), 0.0, list[float]()
    for _ in range(count):
        time += chance.expovariate(per_second)
        found.append(time)
    return found


async def simulated(times: list[float], *, size: int, replicas: int = 1) -> Simulation:
    """Return a simulation in which the requests have come to a full pool, a minute later."""
    simulation = Simulation("alice", size=size, replicas=replicas)
    await simulation.fill()
    simulation.arrive("alice", *times)
    await simulation.run(times[-1] + 60)
    return simulation


def percentile(waits: list[float], part: float) -> float:
    return waits[min(len(waits) - 1, int(part * len(waits)))]


def is_bounded_by_backlog(simulation: Simulation) -> bool:
    """Return whether each request has waited for no more than the requests before it and one start."""
    waits = [(asked.waited, asked.backlog) for asked in simulation.requests["alice"]]
    return all(waited is not None and waited <= backlog / CAPACITY + ONE_START for waited, backlog in waits)


async def test_at_two_a_second_none_is_lost_and_none_waits_longer_than_the_backlog_takes() -> None:
    simulation = await simulated(paced(2, 160), size=4)
    waits = simulation.waits("alice")
    assert len(waits) == 160
    assert is_bounded_by_backlog(simulation)
    assert percentile(waits, 0.95) <= 0.6
    assert simulation.cold("alice") <= 3
    assert simulation.idle("alice") == simulation.largest_pool["alice"] == 4


async def test_at_two_a_second_a_pool_of_forty_keeps_all_waiting_away() -> None:
    simulation = await simulated(paced(2, 120), size=40)
    assert simulation.waits("alice") == [0.0] * 120
    assert simulation.cold("alice") == 0


@pytest.mark.parametrize(("times", "size"), [(paced(1.5, 150), 4), (scattered(1.5, 150, seed=1), 40)])
async def test_at_one_and_a_half_a_second_p99_is_at_most_600_ms(times: list[float], size: int) -> None:
    waits = (await simulated(times, size=size)).waits("alice")
    assert len(waits) == 150
    assert percentile(waits, 0.99) <= 0.6


@pytest.mark.parametrize("replicas", [1, 2])
async def test_requests_that_come_in_clusters_wait_for_the_next_pod_and_none_of_them_starts_another(
    replicas: int,
) -> None:
    simulation = await simulated(scattered(1.5, 200, seed=1), size=10, replicas=replicas)
    assert is_bounded_by_backlog(simulation)
    assert percentile(simulation.waits("alice"), 0.99) <= 1.8
    assert simulation.cold("alice") == 0
    assert simulation.largest_pool["alice"] <= 10


async def test_idle_pods_go_to_the_request_that_has_waited_longest() -> None:
    simulation = await simulated(scattered(2, 200, seed=1), size=10, replicas=2)
    assert len(simulation.order["alice"]) > 20
    assert is_in_order(simulation)


def is_in_order(simulation: Simulation) -> bool:
    """Return whether those that waited got their idle pods in the order in which they came."""
    came = {asked.run: asked.came for asked in simulation.requests["alice"]}
    order = simulation.order["alice"]
    return order == sorted(order, key=lambda run: came[run])


async def test_a_burst_has_the_node_to_itself_and_the_pool_is_refilled_after_it() -> None:
    simulation = await simulated([0.0] * 20, size=4)
    longest_backlog = max(asked.backlog for asked in simulation.requests["alice"])
    assert simulation.waits("alice")[-1] <= longest_backlog / CAPACITY + ONE_START  # they share the node, decision 0061
    assert simulation.idle("alice") == 4


async def test_a_backlog_drains_in_order_once_demand_falls_below_capacity() -> None:
    simulation = await simulated(paced(3, 90) + [30 + seconds for seconds in paced(1, 60)], size=4)
    waits = [asked.waited for asked in simulation.requests["alice"][-30:]]
    assert max(wait for wait in waits if wait is not None) <= ALONE_SECONDS
    assert None not in waits
    assert is_in_order(simulation)


async def test_a_busy_instance_does_not_keep_the_pool_of_another_one_empty() -> None:
    simulation = Simulation("alice", "bob", size=4)
    await simulation.fill()
    simulation.arrive("alice", *paced(2, 120))
    simulation.arrive("bob", *[10.0] * 4)
    await simulation.run(60)
    assert simulation.waits("bob")[-1] == 0
    assert simulation.idle("bob") >= 2
    await simulation.run(60)
    assert (simulation.idle("alice"), simulation.idle("bob")) == (4, 4)
