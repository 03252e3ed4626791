"""Several web-proxies of one instance: together they admit what one would."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import TokenIssuer
from tests.integration.conftest import KEY, assembled, eventually, instance

from sympozium_api import names
from sympozium_api.resources import RUNS
from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.settings import WebProxySettings

RATE, BURST = 300, 10
SECONDS, STEP = 10.0, 0.2
ENDED = {"phase": "Succeeded", "result": "Hello", "finishReason": "stop"}
BODY = {"messages": [{"role": "user", "content": "hello"}]}


@dataclass
class Replicas:
    """Web-proxies with addresses of their own, in front of one API server."""

    kubernetes: FakeKubernetes
    clock: FakeClock
    keys: Path
    stack: AsyncExitStack
    started: list[tuple[WebProxyContext, httpx2.AsyncClient]]

    async def start(self) -> httpx2.AsyncClient:
        settings = WebProxySettings("default", "demo", f"10.0.0.{len(self.started)}", api_keys=self.keys)
        made = await self.stack.enter_async_context(assembled(self.kubernetes, settings, self.clock))
        context, _, _, http = made
        self.started.append((context, http))
        return http

    async def ask(self, http: httpx2.AsyncClient, key: str = KEY) -> int:
        answer = await http.post("/v1/chat/completions", json=BODY, headers={"Authorization": f"Bearer {key}"})
        return answer.status_code

    async def ask_at_once(self, *clients: httpx2.AsyncClient) -> list[int]:
        """The statuses of requests that meet; every run that they make ends well, and all replicas have seen it come and go."""
        asked = [asyncio.create_task(self.ask(http)) for http in clients]
        while not all(task.done() for task in asked):
            self.end_runs()
            await asyncio.sleep(0.001)
        await eventually(lambda: all(context.open_runs() == 0 for context, _ in self.started))
        return [task.result() for task in asked]

    def end_runs(self) -> None:
        for run in self.open_runs():
            self.kubernetes.put({**self.kubernetes.object(RUNS, run), "status": ENDED})

    def open_runs(self) -> list[str]:
        return [
            name
            for name in self.kubernetes.names(RUNS)
            if not self.kubernetes.object(RUNS, name)["status"].get("phase")
        ]


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[Replicas]:
    (tmp_path / "api-key").write_text(KEY)
    (tmp_path / "api-key-alice").write_text("sk-alice")
    clock = FakeClock()
    kubernetes = FakeKubernetes(clock.now)
    TokenIssuer(kubernetes)
    limit = {"requestsPerMinute": RATE, "burstSize": BURST}
    kubernetes.put(instance(webEndpoint={"rateLimit": limit}))
    async with AsyncExitStack() as stack:
        yield Replicas(kubernetes, clock, tmp_path, stack, [])


@pytest.mark.parametrize("fall", [(0, 1, 2), (0, 0, 0), (0, 0, 2)], ids=["evenly", "all on one", "one has none"])
async def test_three_admit_the_rate_of_one_however_the_requests_fall(replicas: Replicas, fall: tuple[int, ...]) -> None:
    clients = [await replicas.start() for _ in range(3)]
    assert len(fall) / STEP == 3 * RATE / 60, "three times the load that is allowed"
    statuses: list[int] = []
    while replicas.clock.seconds < SECONDS:
        statuses += await replicas.ask_at_once(*(clients[index] for index in fall))
        replicas.clock.advance(STEP)
    allowed = SECONDS * RATE / 60 + BURST
    assert statuses.count(200) == pytest.approx(allowed, rel=0.05)
    assert statuses.count(429) == len(statuses) - statuses.count(200)


async def test_what_was_admitted_too_much_in_one_moment_is_paid_back(replicas: Replicas) -> None:
    clients = [await replicas.start() for _ in range(3)]
    at_once = await replicas.ask_at_once(*clients * BURST)
    too_many = at_once.count(200) - BURST
    assert 0 <= too_many <= 2 * BURST
    replicas.clock.advance(60 / RATE * (too_many + 1) - 0.01)
    assert await replicas.ask_at_once(*clients) == [429, 429, 429]
    replicas.clock.advance(0.02)
    assert 200 in await replicas.ask_at_once(*clients)


async def test_keys_have_buckets_of_their_own_in_all_replicas(replicas: Replicas) -> None:
    first, second = [await replicas.start() for _ in range(2)]
    for _ in range(BURST):
        await replicas.ask_at_once(first)
    assert await replicas.ask_at_once(second) == [429]
    alice = asyncio.create_task(replicas.ask(second, "sk-alice"))
    await eventually(lambda: bool(replicas.open_runs()))
    replicas.end_runs()
    assert await alice == 200


async def test_a_new_replica_counts_the_runs_that_are_open(replicas: Replicas) -> None:
    first = await replicas.start()
    open_runs = [asyncio.create_task(replicas.ask(first)) for _ in range(BURST)]
    await eventually(lambda: len(replicas.open_runs()) == BURST)
    annotations = replicas.kubernetes.object(RUNS, replicas.open_runs()[0])["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_KEY_ID] == "api-key"

    second = await replicas.start()
    assert await replicas.ask(second) == 429
    replicas.end_runs()
    assert await asyncio.gather(*open_runs) == [200] * BURST
