"""A replica whose shards change while a part of its work does not end."""

import asyncio

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.operator_world import operator_settings

from sympozium_operator.leader import Leader
from sympozium_operator.operator_metrics import STALLED_AFTER


class Moved:
    """An assignment that changes once, and counts how often it was asked for."""

    def __init__(self) -> None:
        self.times_assigned = 0

    async def assigned(self) -> frozenset[int]:
        self.times_assigned += 1
        return frozenset({0})

    async def changed(self, _: frozenset[int]) -> None:
        await asyncio.sleep(0 if self.times_assigned == 1 else 3600)


async def test_work_that_does_not_end_keeps_its_shards_and_fails_the_liveness_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancelled, may_end = asyncio.Event(), asyncio.Event()

    async def work(*_: object) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()
            await may_end.wait()

    monkeypatch.setattr(Leader, "_work", work)
    clock, assignment = FakeClock(), Moved()
    leader = Leader(FakeKubernetes(clock.now), clock, operator_settings())
    leading = asyncio.create_task(leader.lead(assignment))
    async with asyncio.timeout(60):
        await cancelled.wait()
        clock.advance(STALLED_AFTER - 1)
        assert leader.is_alive()
        clock.advance(1)
        assert not leader.is_alive()
        assert assignment.times_assigned == 1
        may_end.set()
        while assignment.times_assigned < 2:
            await asyncio.sleep(0)
    assert leader.is_alive()
    leading.cancel()
    await asyncio.wait([leading])
