"""``python -m tests.bench.platform``: the agent platform API beside the management API, on a cluster, under ``$SYMPOZIUM_EXEC``.

Runs of one agent with a warm pool start by four kinds of request: a whole run by ``POST /api/v1/runs`` with ``Prefer: wait`` and by
``POST /runs``; a start by ``POST /api/v1/runs`` and by the event ``start`` of ``POST /runs/stream``. Each round begins with another
kind, and a request comes when the run before it has ended: else what comes second pays for the first one's pod. Then the list of
agents is asked for at a rate. Keys are many, because the limits of each stay as they are.
"""

import argparse
import asyncio
import itertools
import json
import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

import httpx2
from tests.bench.__main__ import agent_image
from tests.bench.machine import additions
from tests.bench.memory import resident_mb
from tests.bench.overhead import at_rate
from tests.bench.report import Figures, spread
from tests.bench.warm import SYSTEM, prepare
from tests.e2e.conftest import Endpoint, Namespace, authority, until
from tests.e2e.consoles import Console

from sympozium_api.run_status import TERMINAL_PHASES

log = logging.getLogger(__name__)

POOL, LEAST_IDLE = 16, 8
REQUESTS_PER_KEY = 100
"""Requests of a key in a minute, by default."""
AGENTS_PER_SECOND = 100.0


@dataclass(frozen=True)
class Callers:
    """Clients of both APIs. ``keys`` are of the platform, each with limits of its own."""

    console: httpx2.AsyncClient
    platform: httpx2.AsyncClient
    namespace: str
    agent_id: str
    keys: Iterator[dict[str, str]]
    """Headers with the token of the next key, again and again."""

    @property
    def _question(self) -> dict[str, str]:
        return {"agent_id": self.agent_id, "input_message": "hello"}

    async def console_run(self) -> None:
        """Start a run of the management API, and wait for its end."""
        made = await self._console_start({"Prefer": "wait=60"})
        assert made["status"]["phase"] == "Succeeded", made

    async def platform_run(self) -> None:
        """Start a run of the platform, and wait for its end."""
        answer = await self.platform.post("/runs", json=self._question, headers=next(self.keys))
        assert answer.json()["status"] == "succeeded", answer.text

    async def console_start(self) -> float:
        """Start a run of the management API, wait for its end, and return the seconds to the answer."""
        began = time.perf_counter()
        run = await self._console_start({})
        seconds = time.perf_counter() - began
        path, params = f"/api/v1/runs/{run['metadata']['name']}", {"namespace": self.namespace}
        async with asyncio.timeout(60):
            while run.get("status", {}).get("phase") not in TERMINAL_PHASES:
                await asyncio.sleep(0.02)
                run = (await self.console.get(path, params=params)).json()
        return seconds

    async def _console_start(self, headers: dict[str, str]) -> Figures:
        body, params = {"agentRef": "bench", "task": "hello"}, {"namespace": self.namespace}
        answer = await self.console.post("/api/v1/runs", params=params, json=body, headers=headers)
        answer.raise_for_status()
        made: Figures = answer.json()
        return made

    async def platform_start(self) -> float:
        """Start a stream of the platform, read it to its end, and return the seconds to its first event."""
        began, first = time.perf_counter(), 0.0
        async with self.platform.stream(
            "POST", "/runs/stream", json=self._question, headers=next(self.keys)
        ) as response:
            async for line in response.aiter_lines():
                if line == "event: start":
                    first = time.perf_counter() - began
                assert line != "event: error"
        assert first
        return first


async def timed(request: Callable[[], Awaitable[float | None]]) -> float:
    """Return the seconds of a request; those that it returns, if it does."""
    began = time.perf_counter()
    seconds = await request()
    return seconds or time.perf_counter() - began


async def measured(callers: Callers, endpoint: Endpoint, samples: int, seconds: float) -> Figures:
    """Return the figures of so many requests of each kind, and of so many seconds of the list."""
    kinds: dict[str, Callable[[], Awaitable[float | None]]] = {
        "console_run_s": callers.console_run,
        "platform_run_s": callers.platform_run,
        "console_start_s": callers.console_start,
        "platform_start_s": callers.platform_start,
    }
    times = {name: list[float]() for name in kinds}
    order = deque(kinds)
    for _ in range(samples):
        await asyncio.to_thread(filled, endpoint)
        for name in order:
            times[name].append(await timed(kinds[name]))
        order.rotate()

    async def listed() -> float:
        began = time.perf_counter()
        answer = await callers.platform.get("/agents", headers=next(callers.keys))
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - began

    figures = {name: spread(values) for name, values in times.items()}
    return figures | {"agents_s": spread(await at_rate(listed, int(seconds * AGENTS_PER_SECOND), AGENTS_PER_SECOND))}


def filled(endpoint: Endpoint) -> None:
    """Wait until the pool has idle pods for the next requests."""

    def enough() -> bool:
        lines = endpoint.metrics().splitlines()
        return any(line.startswith("sympozium_idle_pods ") and float(line.split()[1]) >= LEAST_IDLE for line in lines)

    until(enough, within=120)


@asynccontextmanager
async def connected(console: Console, namespace: Namespace, keys: int) -> AsyncIterator[Callers]:
    """Give clients with so many keys, and the instance as a published agent."""
    service = SYSTEM.get("service", "sympozium-platform")
    url = f"http://{authority(service['spec']['clusterIP'], 8000)}"
    made = [
        console.asks("POST", "api-keys", json={"name": f"bench-{number}", "user": "bench", "scopes": ["tools:write"]})
        for number in range(keys)
    ]
    async with (
        httpx2.AsyncClient(base_url=console.url, headers=console.http.headers, timeout=60) as http,
        httpx2.AsyncClient(base_url=url, timeout=60) as platform,
    ):
        headers = list[dict[str, str]]()
        for answer in made:
            token = await platform.post("/auth/token", headers={"x-api-key": answer.json()["key"]})
            headers.append({"Authorization": f"Bearer {token.json()['token']}"})
        agent_id = namespace.get("instance", "bench")["metadata"]["uid"]
        (await platform.post(f"/agents/{agent_id}/publish", headers=headers[0])).raise_for_status()
        yield Callers(http, platform, namespace.name, agent_id, itertools.cycle(headers))


async def _measured(console: Console, namespace: Namespace, samples: int, seconds: float) -> Figures:
    endpoint = await asyncio.to_thread(prepare, namespace, agent_image(), POOL)
    keys = max(2, int(60 * AGENTS_PER_SECOND / REQUESTS_PER_KEY) + 1)
    async with connected(console, namespace, keys) as callers:
        return await measured(callers, endpoint, samples, seconds)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=200, help="requests of each kind")
    parser.add_argument("--seconds", type=float, default=20, help="seconds of lists of agents")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    namespace = Namespace(f"bench-platform-{secrets.token_hex(2)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    console = Console(SYSTEM, namespace.name)
    try:
        with closing(console.http):
            figures = asyncio.run(_measured(console, namespace, arguments.n, arguments.seconds))
        starts = Counter(run.get("status", {}).get("start") for run in namespace.list("runs"))
        figures |= {"cold": starts["cold"], "console_mb": resident_mb(SYSTEM, "console")}
        log.info("%s", json.dumps(figures | {"million_additions_ms": round(1000 * additions(), 1)}))
    finally:
        namespace.remove()


if __name__ == "__main__":
    main()
