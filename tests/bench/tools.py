"""Cost of the egress guard without a cluster: the time of a call at a fixed rate, its own share of it, and its memory.

The guard is a process of its own with an API server in memory; the webhook and the agents are the benchmark. A call's own share is the
caller's time less the time for which the webhook had it.
"""

import asyncio
import json
import multiprocessing
import multiprocessing.connection
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import structlog
import uvloop
from starlette.responses import JSONResponse
from tests.bench.mcp import cpu_seconds, megabytes
from tests.bench.report import Figures, spread
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer
from tests.fakes.replica import free_ports
from tests.fakes.webhook import PUBLIC, Received, World, world
from tests.integration.conftest import instance
from tests.integration.egress.conftest import CITY, IN_FORCE
from tests.unit.api.tools import HOST, binding_manifest, tool_manifest

from sympozium_api import names
from sympozium_api.resources import RUNS
from sympozium_egress.assembly import assemble
from sympozium_egress.egress_settings import EgressSettings
from sympozium_egress.tunnel_protocol import with_tunnels
from sympozium_http import serving
from sympozium_http.serving import Listener

PER_SECOND, CALLS = 50, 10_000
_RATED = 1000
"""Calls at the fixed rate. The others, which only show whether memory grows, are made as fast as eight agents make them."""
_WARM_UP = 100
_AT_ONCE = 8
_RUNS = 8
"""Runs whose agents call: the guard makes at most 16 calls of a run at once, which a slow machine reaches."""


@dataclass
class _Webhook:
    """The webhook's share of each call, by the call's number."""

    seconds: dict[int, float] = field(default_factory=dict)

    async def answer(self, request: Received) -> JSONResponse:
        began = time.monotonic()
        answer = JSONResponse({"sunny": True})
        self.seconds[request.arguments["number"]] = time.monotonic() - began
        return answer


async def serve(told: "multiprocessing.connection.Connection[Any, Any]", port: int) -> None:
    """Serve a guard as its process does, whose world is the webhook at a port of the loopback interface."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    kubernetes = FakeKubernetes()
    issuer = TokenIssuer(kubernetes)
    status = {"function": "weather", "conditions": IN_FORCE}
    tool = tool_manifest(webhook={"url": f"http://{HOST}/"}, parameters=CITY)
    for manifest in (instance(), tool | {"status": status}, binding_manifest() | {"status": status}):
        kubernetes.put(manifest)
    tokens = []
    for number in range(_RUNS):
        metadata = {"name": f"bench-run-{number}", "namespace": "default"}
        spec = {"agentRef": "demo", "task": "hello"}
        kubernetes.put({"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": metadata, "spec": spec})
        pod = FakePod(kubernetes.object(RUNS, metadata["name"]), issuer, "")
        tokens.append(issuer.token(pod.name, names.agent_service_account("demo")))
    client = World(port, {HOST: [PUBLIC]}).client()
    settings = EgressSettings("sympozium-system", api_server="10.96.0.1")
    guard = await assemble(kubernetes, settings, FakeClock(), http=client)
    own_port = free_ports()[0]

    async def tell() -> None:
        while not await _is_open(own_port):
            await asyncio.sleep(0.01)
        told.send((f"http://127.0.0.1:{own_port}", tokens))
        await asyncio.Event().wait()

    listener = Listener(guard.app, own_port, http=with_tunnels(guard.tunnels), address="127.0.0.1")
    await serving.serve([listener], drain=lambda: None, grace_seconds=1, beside=[tell])


async def _is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def run(told: "multiprocessing.connection.Connection[Any, Any]", port: int) -> None:
    """Serve in this process."""
    uvloop.run(serve(told, port))


async def measure(*, calls: int = CALLS, rated: int = _RATED) -> Figures:
    """Return the time of ``rated`` calls at 50 per second, and the guard's memory before and after ``calls`` more."""
    webhook = _Webhook()
    async with world() as outside:
        outside.script = webhook.answer
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe()
        process = spawn.Process(target=run, args=(there, outside.port))
        process.start()
        try:
            assert process.pid is not None
            url, tokens = await asyncio.to_thread(here.recv)
            async with aiohttp.ClientSession() as http:
                return await _Agents(http, url, tokens, webhook, outside).figures(process.pid, calls, rated)
        finally:
            process.terminate()


@dataclass
class _Agents:
    """Callers of the guard."""

    http: aiohttp.ClientSession
    url: str
    tokens: list[str]
    """Token of each run's pod."""
    webhook: _Webhook
    world: World
    _number: int = 0

    async def figures(self, pid: int, calls: int, rated: int) -> Figures:
        await self._many(_WARM_UP)
        used = cpu_seconds(pid)
        shares = await self._at_rate(rated)
        used, before = cpu_seconds(pid) - used, megabytes(pid)
        await self._many(calls)
        return {
            "tool_call_own_s": spread(shares),
            "tool_calls_per_second": PER_SECOND,
            "tool_call_cpu_ms": round(1000 * used / rated, 2),
            "tool_memory_mb": {"before": round(before, 1), "after": round(megabytes(pid), 1), "calls": calls},
        }

    async def _at_rate(self, count: int) -> list[float]:
        began, waiting = time.monotonic(), list[asyncio.Task[float]]()
        for position in range(count):
            await asyncio.sleep(max(0.0, began + position / PER_SECOND - time.monotonic()))
            waiting.append(asyncio.create_task(self._call()))
        return await asyncio.gather(*waiting)

    async def _many(self, count: int) -> None:
        waiting = iter(range(count))

        async def worker() -> None:
            for _ in waiting:
                await self._call()
                self.world.received.clear()
                self.webhook.seconds.clear()

        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))

    async def _call(self) -> float:
        """Make a call and return the guard's share of its seconds."""
        self._number = number = self._number + 1
        body = {"id": f"call_{number}", "arguments": json.dumps({"city": "Oslo", "number": number})}
        began = time.monotonic()
        run = number % _RUNS
        url = f"{self.url}/runs/bench-run-{run}/tools/weather"
        headers = {"Authorization": f"Bearer {self.tokens[run]}"}
        async with self.http.post(url, json=body, headers=headers) as answer:
            result = await answer.json()
        seconds = time.monotonic() - began
        assert result["isError"] is False, result
        return seconds - self.webhook.seconds.pop(number, 0.0)
