"""Size of a warm pool, and the rate at which pods are made: values and a clock."""

import pytest

from sympozium_api.instance import WarmPool
from sympozium_operator.scheduling.pool_sizer import HOLD_SECONDS, WINDOW, LaunchRate, PoolSizer


def asked(demand: PoolSizer, per_second: float, *, since: float, until: float) -> None:
    for number in range(int((until - since) * per_second)):
        demand.arrived(since + number / per_second)


def test_an_unused_pool_has_its_size() -> None:
    assert PoolSizer().target(WarmPool(size=4, max=20), 0) == 4


def test_it_grows_by_what_is_used_up_while_a_pod_starts() -> None:
    demand = PoolSizer()
    asked(demand, 2, since=0, until=WINDOW)
    assert demand.target(WarmPool(size=4, max=20), WINDOW) == 8


def test_it_grows_further_where_pods_start_slowly() -> None:
    demand = PoolSizer()
    for _ in range(50):
        demand.refilled(5)
    asked(demand, 2, since=0, until=WINDOW)
    assert demand.target(WarmPool(size=4, max=20), WINDOW) == 14


def test_it_never_grows_above_max_and_by_default_not_at_all() -> None:
    demand = PoolSizer()
    asked(demand, 50, since=0, until=WINDOW)
    assert demand.target(WarmPool(size=4, max=20), WINDOW) == 20
    assert demand.target(WarmPool(size=4), WINDOW) == 4


def test_it_falls_only_after_a_minute_of_calm() -> None:
    demand, pool = PoolSizer(), WarmPool(size=4, max=20)
    asked(demand, 2, since=0, until=WINDOW)
    assert demand.target(pool, WINDOW) == 8
    assert demand.target(pool, WINDOW + HOLD_SECONDS - 1) == 8
    assert demand.target(pool, WINDOW + HOLD_SECONDS) == 4


def test_what_fails_is_made_later_and_later() -> None:
    demand = PoolSizer()
    waits = []
    for _ in range(8):
        demand.failed(0)
        waits.append(demand.not_before)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    demand.refilled(1)
    demand.failed(0)
    assert demand.not_before == 2


def test_a_burst_is_served_before_the_pool_is_filled_and_steady_demand_does_not_delay_it() -> None:
    demand = PoolSizer()
    demand.arrived(10)
    demand.arrived(10.5)
    assert demand.not_before == 11.5
    demand.arrived(13)
    assert demand.not_before == 11.5
    demand.arrived(20)
    assert demand.not_before == 21.5


def test_pods_are_made_at_a_pace() -> None:
    pace = LaunchRate(2)
    assert [pace.take(0), pace.take(0)] == [0, 0], "two looks' worth, since nothing was made before"
    assert pace.take(0) == pytest.approx(0.5)
    assert pace.take(0.5) == 0
    assert pace.take(0.5) == pytest.approx(0.5)


def test_starts_of_runs_go_first_but_not_for_ever() -> None:
    pace = LaunchRate(2)
    pace.started_cold(0)
    assert pace.take(0) == pytest.approx(0.5)
    for _ in range(100):
        pace.started_cold(1)
    assert pace.take(1) == pytest.approx(2)
