"""Limits of callers that replicas of the console count together, in a real Redis as Debian packages it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.clients.redis_server import Redis, needs_redis, running_redis
from tests.integration.console.conftest import DEMO, Console, serving

from sympozium_api.rate_limit import CallRate
from sympozium_archive.database import Database
from sympozium_console.console_settings import CallerRates
from sympozium_http.moving_windows import PAUSE_SECONDS, SHARED_SECONDS

pytestmark = needs_redis
LIMIT = 100


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with running_redis(tmp_path) as server:
        yield server


@asynccontextmanager
async def replicas(folder: Path, url: str, count: int = 3) -> AsyncIterator[list[Console]]:
    rates = CallerRates(requests=CallRate(LIMIT, 3600))
    async with AsyncExitStack() as stack:
        consoles = []
        for number in range(count):
            own = folder / str(number)
            own.mkdir()
            database = await Database.open_scratch(str(own / "index.db"))
            stack.push_async_callback(database.close)
            console = await stack.enter_async_context(serving(own, database, rates=rates, redis_url=url))
            stack.push_async_callback(console.context.limits.windows.close)
            consoles.append(console)
        yield consoles


async def allowed(consoles: list[Console], requests: int) -> int:
    """How many of the requests, which ask the replicas in turn, eight at a time, are allowed."""
    at_once = asyncio.Semaphore(8)

    async def ask(number: int) -> int:
        async with at_once:
            return (await consoles[number % len(consoles)].request("GET", DEMO)).status_code

    statuses = await asyncio.gather(*map(ask, range(requests)))
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


def unshared(consoles: list[Console]) -> float:
    name = "sympozium_rates_unshared_total"
    return sum(console.context.metrics.registry.get_sample_value(name) or 0 for console in consoles)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers is waited for, however slow this machine is."""
    monkeypatch.setattr("sympozium_console.caller_limits.SHARED_SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
async def test_a_limit_of_three_replicas_holds_within_five_percent(redis: Redis, tmp_path: Path) -> None:
    async with replicas(tmp_path, redis.url) as consoles:
        assert await allowed(consoles, 2 * LIMIT) == pytest.approx(LIMIT, rel=0.05)
        assert unshared(consoles) == 0


@pytest.mark.usefixtures("patient")
async def test_each_replica_holds_the_limit_alone_while_the_server_is_away(redis: Redis, tmp_path: Path) -> None:
    async with replicas(tmp_path, redis.url) as consoles:
        assert await allowed(consoles, 3) == 3
        await redis.kill()
        assert await allowed(consoles, 4 * LIMIT) == 3 * LIMIT
        assert unshared(consoles) == 4 * LIMIT


async def test_a_server_that_hangs_holds_no_request_for_long_and_counts_again_afterwards(
    redis: Redis, tmp_path: Path
) -> None:
    async with replicas(tmp_path, redis.url, count=1) as [console]:
        redis.freeze()
        began = time.monotonic()
        assert await allowed([console], 20) == 20
        assert time.monotonic() - began < 20 * SHARED_SECONDS
        assert unshared([console]) == 20
        redis.thaw()
        for _ in range(10):  # a slow machine may need more than one attempt
            before = unshared([console])
            console.clock.advance(PAUSE_SECONDS)
            assert await allowed([console], 1) == 1
            if unshared([console]) == before:
                return
        pytest.fail("the server is never asked again")
