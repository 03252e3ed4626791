"""A web-proxy as it runs in its pod: both ports on real sockets, in front of an API server in memory."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, Object
from tests.fakes.pod import FakePod, TokenIssuer, created_run

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import SystemClock
from sympozium_runs.board import Board
from sympozium_runs.follow import RunWatch
from sympozium_runs.identity import PodTokens
from sympozium_runs.runs import Runs
from sympozium_runs.store import Store
from sympozium_runs.surface import create_surface
from sympozium_webproxy.app import create_app
from sympozium_webproxy.context import Context
from sympozium_webproxy.endpoint import Endpoint, watch_instance
from sympozium_webproxy.keys import ApiKeys
from sympozium_webproxy.limits import RateLimiter
from sympozium_webproxy.settings import Settings

KEY = "sk-test"


@dataclass
class Proxy:
    """One running web-proxy, and the world around it."""

    url: str
    surface: str
    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    context: Context
    http: httpx2.AsyncClient
    clock: FakeClock
    keys: Path

    async def chat(self, *, key: str = KEY, headers: dict[str, str] | None = None, **fields: object) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": "hello"}]} | fields
        own = {"Authorization": f"Bearer {key}"} | (headers or {})
        return await self.http.post("/v1/chat/completions", json=body, headers=own)

    async def pod(self, *, among: int = 1) -> FakePod:
        """The pod of the newest run, once there are that many runs."""
        return FakePod(await created_run(self.kubernetes, among=among), self.issuer, self.surface)


def instance(**spec: object) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "SympoziumInstance",
        "metadata": {"name": "demo", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "agents": {"default": {"model": "smollm2", "baseURL": "http://model/v1", "runTimeout": "10m"}},
            "skills": [{"skillPackRef": "web-endpoint"}],
            "webEndpoint": {"rateLimit": {"requestsPerMinute": 6000, "burstSize": 100}},
        }
        | spec,
    }


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """An application on a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = server.force_exit = True
        await serving


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    (tmp_path / "api-key").write_text(f"{KEY}\n")
    kubernetes, clock, system = FakeKubernetes(), FakeClock(), SystemClock()
    issuer = TokenIssuer(kubernetes)
    kubernetes.put(instance())
    store, board, endpoint = Store(kubernetes, system), Board(), Endpoint()
    async with listening(create_surface(store, board, PodTokens(kubernetes), system)) as surface:
        runs = Runs(store, board, reply_to=surface)
        run_watch = RunWatch(kubernetes, "default", "demo", store=store, board=board, runs=runs)

        async def api_answers() -> bool:
            try:
                await kubernetes.raw("/version")
            except (ApiError, ApiUnavailable, KeyError):
                return False
            return True

        context = Context(
            settings=Settings("default", "demo", "127.0.0.1", keep_alive_seconds=0.2, max_body_bytes=64 * 1024),
            endpoint=endpoint,
            runs=runs,
            keys=ApiKeys(tmp_path, clock=clock.monotonic),
            limiter=RateLimiter(clock=clock.monotonic),
            clock=system,
            open_runs=lambda: run_watch.open_count,
            api_answers=api_answers,
        )
        watches = [
            asyncio.create_task(watch_instance(kubernetes, "default", "demo", endpoint)),
            asyncio.create_task(run_watch.run()),
        ]
        async with listening(create_app(context)) as url, httpx2.AsyncClient(base_url=url, timeout=10) as http:
            while not (endpoint.known and run_watch.synced):
                await asyncio.sleep(0)
            yield Proxy(url, surface, kubernetes, issuer, context, http, clock, tmp_path)
        for task in watches:
            task.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
