"""Limits of the agent platform's keys that replicas of the console count together, in a real Redis as Debian packages it."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.integration.clients.redis_server import needs_redis, running_redis
from tests.integration.platform.conftest import Platform, serving

from sympozium_api.rate_limit import CallRate
from sympozium_archive.database import Database
from sympozium_http.refusal import Refusal
from sympozium_platform.platform_settings import PlatformSettings

pytestmark = needs_redis
LIMIT = 20


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers is waited for, however slow this machine is."""
    monkeypatch.setattr("sympozium_console.caller_limits.SHARED_SECONDS", 60.0)


async def test_a_key_has_its_limits_over_three_replicas_and_no_other_keys(tmp_path: Path) -> None:
    settings = PlatformSettings(default_rate=CallRate(LIMIT, 3600), runs_rate=CallRate(LIMIT // 2, 3600))
    async with running_redis(tmp_path) as redis, AsyncExitStack() as stack:
        replicas: list[Platform] = []
        for number in range(3):
            own = tmp_path / str(number)
            own.mkdir()
            database = await Database.open_scratch(str(own / "index.db"))
            stack.push_async_callback(database.close)
            kubernetes = replicas[0].kubernetes if replicas else None
            replica = await stack.enter_async_context(serving(own, database, settings, kubernetes, redis_url=redis.url))
            stack.push_async_callback(replica.console.limits.windows.close)
            replicas.append(replica)

        token = replicas[0].signed(sub="grace")
        requests = [replicas[number % 3].request("GET", "/api-keys", token=token) for number in range(3 * LIMIT)]
        statuses = Counter(answer.status_code for answer in await asyncio.gather(*requests))
        assert statuses == {200: LIMIT, 429: 2 * LIMIT}
        limits = [replica.context.limits for replica in replicas]
        starts = [limits[number % 3].take("team", "key", starts_run=True) for number in range(3 * LIMIT)]
        refusals = [one for one in await asyncio.gather(*starts, return_exceptions=True) if isinstance(one, Refusal)]
        assert len(refusals) == 3 * LIMIT - LIMIT // 2
        assert (await replicas[1].request("GET", "/api-keys", token=replicas[1].signed(sub="alan"))).status_code == 200
