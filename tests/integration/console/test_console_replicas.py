"""Three replicas of the console in front of one API server: each Idempotency-Key has one run, whoever is asked and how often."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from tests.fakes.session_world import SlowKubernetes
from tests.integration.conftest import instance
from tests.integration.console.conftest import RETENTION, Console, serving, watched

from sympozium_api.resources import RUNS
from sympozium_archive.database import Database
from sympozium_console.console_settings import ArchiveSettings

KEYS = int(os.environ.get("SYMPOZIUM_TEST_CONSOLE_KEYS", "50"))
"""Number of Idempotency-Keys; ``make soak`` tries 1,000."""
REPLICAS, AT_ONCE = 3, 10
ROOM = {"maxConcurrentRuns": 1000, "maxQueuedRuns": 100_000}
SEED = 20261129


@pytest.fixture
async def replicas(tmp_path: Path, database: Database) -> AsyncIterator[list[Console]]:
    """Replicas with one archive, whose instance has room for all runs."""
    kubernetes = SlowKubernetes(SEED)
    archive = ArchiveSettings(database.settings, RETENTION)
    async with AsyncExitStack() as stack:
        consoles = [
            await stack.enter_async_context(serving(tmp_path, database, archive, kubernetes=kubernetes))
            for _ in range(REPLICAS)
        ]
        kubernetes.put(instance(**ROOM))
        await stack.enter_async_context(watched(*consoles))
        yield consoles


async def start(console: Console, key: int) -> httpx2.Response:
    body = {"agentRef": "demo", "task": f"question {key}"}
    return await console.http.post("/api/v1/runs", json=body, headers={"Idempotency-Key": f"key-{key}"})


async def run_of(consoles: list[Console], key: int, chance: random.Random) -> str:
    """The one run of a key, for which all replicas are asked at once; some callers leave at any moment and ask again."""
    leaving = asyncio.create_task(start(chance.choice(consoles), key))
    asked = [asyncio.create_task(start(console, key)) for console in consoles]
    await asyncio.sleep(chance.uniform(0, 0.01))
    leaving.cancel()
    answers = [*await asyncio.gather(*asked), await start(chance.choice(consoles), key)]
    await asyncio.gather(leaving, return_exceptions=True)
    assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
    [name] = {answer.json()["metadata"]["name"] for answer in answers}
    return str(name)


@pytest.mark.timeout(60 + KEYS)
@pytest.mark.parametrize("database_settings", ["postgresql"], indirect=True)
async def test_as_many_keys_make_as_many_runs_over_all_replicas(replicas: list[Console]) -> None:
    chance, turn = random.Random(SEED), asyncio.Semaphore(AT_ONCE)

    async def asked(key: int) -> str:
        async with turn:
            return await run_of(replicas, key, chance)

    names = await asyncio.gather(*map(asked, range(KEYS)))
    assert len(set(names)) == KEYS
    assert sorted(replicas[0].kubernetes.names(RUNS)) == sorted(names)
