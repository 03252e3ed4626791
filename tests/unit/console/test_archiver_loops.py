"""The loops of the archiver: in one replica at a time, and through outages of the database and of the API server."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs
from tests.unit.console.archiver_world import ArchiverWorld, ended
from tests.unit.operator.objects import NAMESPACE

from sympozium_api.client import ApiUnavailable
from sympozium_api.client.server_time import server_time
from sympozium_api.resources import RUNS
from sympozium_archive.database import Database
from sympozium_archive.retention import AgeLimits
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_NONE
from sympozium_console.archiver import archiver as loops
from sympozium_console.archiver.archiver import Archiver
from sympozium_console.archiver.retention_timer import RetentionTimer
from sympozium_console.archiver.witnessed_clock import WitnessedClock

DAY = 86_400


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PRUNE_SECONDS", "COUNT_SECONDS", "RESUME_SECONDS", "EXPIRE_SECONDS", "_RETRY_SECONDS"):
        monkeypatch.setattr(loops, name, 0.05)
    monkeypatch.setattr(loops, "_CONFIRM_SECONDS", 0.1)


def archiver(world: ArchiverWorld) -> Archiver:
    timer = RetentionTimer(world.database, AgeLimits(30 * DAY, 400 * DAY, 400 * DAY), world.witnessed)
    return Archiver(
        database=world.database,
        contents=world.loop,
        pruner=world.pruner,
        deletions=world.deletions,
        retention=timer,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_runs_are_archived_as_they_end_and_pruned_by_themselves(database: Database, quick: None) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q0"))
    await world.indexed()
    task = asyncio.create_task(archiver(world).run())
    world.cluster.put(ended("q1"))
    await world.indexed()
    world.loop.wake()
    async with asyncio.timeout(60):
        while {row.content_state for row in await world.table()} != {CONTENT_KEPT}:
            await asyncio.sleep(0.02)
    world.pass_hours(50)
    await until(lambda: world.left() == [])
    task.cancel()


async def test_an_api_server_that_is_away_ends_no_loop(database: Database, quick: None) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q0"))
    world.cluster.refuse("list", RUNS, ApiUnavailable("away"), ApiUnavailable("away"))
    world.pass_hours(50)
    task = asyncio.create_task(archiver(world).run())
    await until(lambda: world.left() == [])
    assert (await world.row("q0")).content_state == CONTENT_KEPT
    task.cancel()


async def test_one_replica_archives_at_a_time_and_the_next_continues(database: Database, quick: None) -> None:
    if database.settings.is_sqlite:
        pytest.skip("a file has one console")
    world = ArchiverWorld(database)
    world.pass_hours(50)
    first, second = archiver(world), archiver(world)
    pruned: list[str] = []

    def named(name: str, parts: Archiver) -> Archiver:
        class Pruner:
            async def prune(self) -> None:
                pruned.append(name)
                await parts.pruner.prune()

        return replace(parts, pruner=Pruner())  # type: ignore[arg-type]

    one = asyncio.create_task(named("first", first).run())
    await until(lambda: bool(pruned))
    two = asyncio.create_task(named("second", second).run())
    await until(lambda: len(pruned) > 5)
    assert set(pruned) == {"first"}
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    world.cluster.put(ended("q0"))
    await until(lambda: world.left() == [])
    assert pruned[-1] == "second"
    two.cancel()


async def test_contents_expire_before_numbers_by_the_injected_clock(database: Database) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(ended("q0"))
    await world.pruner.prune()
    await world.indexed()
    await world.loop.archive_missing()
    world.pass_hours(50)
    await world.pruner.prune()
    await world.indexed()
    timer = archiver(world).retention
    await timer.expire()
    assert (await world.row("q0")).content_state == CONTENT_KEPT
    world.pass_hours(31 * 24)
    await timer.expire()
    assert (await world.row("q0")).content_state == CONTENT_NONE
    assert await world.content("q0") is None
    world.pass_hours(400 * 24)
    await timer.expire()
    assert await world.table() == []


async def test_a_clock_that_is_years_ahead_removes_nothing_that_others_think_is_new(database: Database) -> None:
    world = ArchiverWorld(database)
    right = world.clock.now()
    world.cluster.now = lambda: right
    world.witnessed = WitnessedClock(world.clock, [partial(server_time, world.cluster)])
    world.pruner = replace(world.pruner, clock=world.witnessed)
    world.cluster.put(ended("q0"))
    world.cluster.put(ended("q1"))
    await world.indexed()
    await world.loop.archive_missing()
    world.cluster.remove(RUNS, "q0", NAMESPACE)
    await world.indexed()
    world.pass_hours(10 * 365 * 24)
    with capture_logs() as lines:
        await archiver(world).retention.expire()
        await world.pruner.prune()
    assert world.left() == ["q1"]
    assert {row.name: row.content_state for row in await world.table()} == {"q0": CONTENT_KEPT, "q1": CONTENT_KEPT}
    assert {line["event"] for line in lines} == {"clocks differ, the earliest counts"}
    world.cluster.now = world.clock.now
    await archiver(world).retention.expire()
    await world.pruner.prune()
    assert world.left() == []
    assert [row.content_state for row in await world.table()] == [CONTENT_NONE]


async def test_nothing_is_removed_while_no_other_clock_can_be_asked(database: Database) -> None:
    async def away() -> datetime:
        raise ApiUnavailable("away")

    world = ArchiverWorld(database)
    world.witnessed = WitnessedClock(world.clock, [away])
    with pytest.raises(ApiUnavailable):
        await archiver(world).retention.expire()


async def test_the_server_of_a_database_has_a_clock(database: Database) -> None:
    if not database.settings.is_sqlite:
        assert abs(await database.time() - datetime.now(UTC)) < timedelta(minutes=1)
