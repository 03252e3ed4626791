"""Rate limits of tools that replicas of the egress guard count together, in a real Redis as Debian packages it."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.clients.conftest import CLIENTS
from tests.unit.api.tools import binding_manifest

from sympozium_api.tool_binding import ToolBinding
from sympozium_egress.call_rates import CallRates, storage_of
from sympozium_egress.policy.call_policy import CallRefused

SERVER = CLIENTS / "redis/usr/bin/redis-server"
ENVIRON = os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, (CLIENTS / "redis/usr/lib").glob("*-linux-gnu")))}


def runs() -> bool:
    """True if the program is installed, and finds its libraries on this machine."""
    if not SERVER.exists():
        return False
    return subprocess.run([SERVER, "--version"], env=ENVIRON, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not runs(), reason="no redis-server of Debian: local/clients.sh has not run")


@dataclass(frozen=True)
class Redis:
    """A server with a password."""

    url: str
    process: asyncio.subprocess.Process


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ("--port", str(port), "--bind", "127.0.0.1", "--requirepass", "secret", "--save", "", "--dir", tmp_path)
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(SERVER, *options, env=ENVIRON, stdout=null, stderr=null)
    try:
        async with asyncio.timeout(10):
            while True:
                with suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.02)
        yield Redis(f"redis://:secret@127.0.0.1:{port}", process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def replicas(url: str, count: int = 1) -> AsyncIterator[list[CallRates]]:
    """The counters of so many processes."""
    storages: list[Any] = [storage_of(url) for _ in range(count)]
    try:
        yield [CallRates(storage) for storage in storages]
    finally:
        for storage in storages:
            await storage.bridge.storage.aclose()


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
        redis.process.kill()
        await redis.process.wait()
        with pytest.raises(CallRefused, match="cannot be checked at the moment"):
            await rates.count(binding("9/hour"))
