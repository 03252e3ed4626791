"""Idle pods that start, and the runs that wait for them."""

import pytest

from sympozium_operator.scheduling.pod_supply import PodSupply

FIRST, SECOND, THIRD = ("1", "a"), ("2", "b"), ("3", "c")


def expected(supply: PodSupply, order: tuple[str, str], now: float = 1, *, with_ready: bool = False) -> float | None:
    return supply.expected_in(order, now, usual=2, with_ready=with_ready)


def test_a_run_waits_for_the_oldest_pod_that_starts_and_nobody_waits_for() -> None:
    supply = PodSupply()
    assert expected(supply, FIRST) is None
    supply.make("new", 0.5)
    supply.make("old", 0)
    assert expected(supply, FIRST) == pytest.approx(1)
    supply.wait("a", FIRST)
    assert expected(supply, FIRST) == pytest.approx(1), "it is still the first"
    assert expected(supply, SECOND) == pytest.approx(1.5)
    supply.wait("b", SECOND)
    assert expected(supply, THIRD) is None, "a pod of its own is sooner"
    supply.claim("old")
    supply.stop_waiting("a")
    assert expected(supply, SECOND) == pytest.approx(1.5)
    assert supply.waiting == 1


def test_pods_that_wait_elsewhere_come_first_for_a_run_that_was_not_offered_yet() -> None:
    supply = PodSupply()
    supply.update({"starts": 1.0}, ["ready"], now=1)
    assert expected(supply, FIRST, with_ready=True) == 0
    assert expected(supply, FIRST) == pytest.approx(1)


def test_a_pod_that_is_overdue_is_not_waited_for() -> None:
    supply = PodSupply()
    supply.make("stuck", 0)
    assert expected(supply, FIRST, now=9) == 0
    assert expected(supply, FIRST, now=10) is None


def test_what_is_gone_is_not_waited_for_and_another_leader_sees_what_starts() -> None:
    supply = PodSupply()
    supply.make("gone", 0)
    supply.update({"found": 1.5}, [], now=3)
    assert expected(supply, FIRST, now=3) == pytest.approx(0.5)
    supply.wait("a", FIRST)
    assert expected(supply, SECOND, now=3) is None
