"""Rate limits of tools that replicas of the egress guard count together, in a real Redis as Debian packages it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.clients.redis_server import Redis, needs_redis, running_redis
from tests.unit.api.tools import binding_manifest

from sympozium_api.tool_binding import ToolBinding
from sympozium_egress.call_rates import CallRates, windows_of
from sympozium_egress.policy.call_policy import CallRefused

pytestmark = needs_redis


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with running_redis(tmp_path) as server:
        yield server


@asynccontextmanager
async def replicas(url: str, count: int = 1) -> AsyncIterator[list[CallRates]]:
    """The counters of so many processes."""
    windows = [windows_of(url) for _ in range(count)]
    try:
        yield [CallRates(own) for own in windows]
    finally:
        for own in windows:
            await own.close()


def binding(rate: str) -> ToolBinding:
    found = ToolBinding.model_validate(binding_manifest(rateLimit=rate))
    return found.model_copy(update={"metadata": found.metadata.model_copy(update={"uid": f"uid-of-{rate}"})})


async def allowed(counters: list[CallRates], limit: ToolBinding, *, calls: int) -> int:
    """How many of the calls, made at once by all replicas in turn, are allowed."""
    counted = (counters[number % len(counters)].count(limit) for number in range(calls))
    results = await asyncio.gather(*counted, return_exceptions=True)
    refusals = [result for result in results if result is not None]
    assert all(isinstance(refusal, CallRefused) and "is reached" in str(refusal) for refusal in refusals)
    return calls - len(refusals)


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
async def test_replicas_count_the_calls_of_a_limit_together(redis: Redis, scheme: str) -> None:
    async with replicas(redis.url.replace("redis", scheme, 1), 3) as counters:
        assert await allowed(counters, binding("2/hour"), calls=9) == 2
        assert await allowed(counters, binding("5/hour"), calls=9) == 5


async def test_a_window_moves(redis: Redis) -> None:
    async with replicas(redis.url) as counters:
        assert await allowed(counters, binding("2/second"), calls=3) == 2
        await asyncio.sleep(1.1)
        assert await allowed(counters, binding("2/second"), calls=3) == 2


async def test_a_limit_that_cannot_be_counted_refuses_the_call(redis: Redis) -> None:
    wrong = redis.url.replace("secret", "wrong")
    async with replicas(redis.url) as [rates], replicas(wrong) as [locked_out]:
        await rates.count(binding("9/hour"))
        with pytest.raises(CallRefused, match="cannot be checked at the moment"):
            await locked_out.count(binding("9/hour"))
        await redis.kill()
        with pytest.raises(CallRefused, match="cannot be checked at the moment"):
            await rates.count(binding("9/hour"))
