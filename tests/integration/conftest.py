"""A web-proxy as it runs in its pod: both ports on real sockets, in front of an API server in memory."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import openai
import pytest
import uvicorn
from starlette.types import ASGIApp
from tests.fakes.agents import Agents
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.model import Model, serving
from tests.fakes.node import GENERATION
from tests.fakes.pod import FakePod, TokenIssuer, created_run

from sympozium_api import agent_document, names
from sympozium_api.agent_document import AgentDocument
from sympozium_api.agent_records import Record
from sympozium_api.clock import Clock
from sympozium_api.resources import RUN_PARTS, Object, ResourceType
from sympozium_http.metrics_endpoint import MetricsEndpoint
from sympozium_http.request_limits import RequestLimits
from sympozium_http.tracing import Tracing
from sympozium_runs.runs import RunHandle
from sympozium_webproxy.assembly import assemble
from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.settings import WebProxySettings

KEY = "sk-test"
HttpProtocol = Literal["auto"] | type[RequestLimits]


@dataclass
class Proxy:
    """One running web-proxy, and the world around it."""

    url: str
    surface: str
    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    context: WebProxyContext
    http: httpx2.AsyncClient
    clock: FakeClock
    keys: Path

    async def chat(self, *, key: str = KEY, headers: dict[str, str] | None = None, **fields: object) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": "hello"}]} | fields
        own = {"Authorization": f"Bearer {key}"} | (headers or {})
        return await self.http.post("/v1/chat/completions", json=body, headers=own)

    async def metrics(self) -> str:
        """All metrics of the web-proxy, as port 9090 shows them."""
        transport = httpx2.ASGITransport(MetricsEndpoint(self.context.metrics.registry))
        async with httpx2.AsyncClient(transport=transport, base_url="http://web-proxy:9090") as http:
            return (await http.get("/metrics")).text

    async def use_model(self, model: Model, script: str, **spec: object) -> None:
        """Let the instance call this script of the scripted model."""
        agent = {"model": script, "baseURL": model.url, "runTimeout": "10m", **spec.pop("agent", {})}  # type: ignore[dict-item]
        self.kubernetes.put(instance(agents={"default": agent}, **spec))
        await eventually(lambda: self.context.instance_cache.served().instance.spec.agents.default.model == script)

    async def pod(self, *, among: int = 1) -> FakePod:
        """The pod of the newest run, once there are that many runs."""
        return FakePod(await created_run(self.kubernetes, among=among), self.issuer, self.surface)


def hold_parts(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Hold back the writes of parts of long texts until the event that this returns is set."""
    create, may_write = proxy.kubernetes.create, asyncio.Event()

    async def slow(kind: ResourceType, *words: Any, **options: Any) -> Object:
        if kind == RUN_PARTS:
            await may_write.wait()
        return await create(kind, *words, **options)

    monkeypatch.setattr(proxy.kubernetes, "create", slow)
    return may_write


def silences(monkeypatch: pytest.MonkeyPatch) -> list[RunHandle]:
    """The waits for a record that have ended with none, so far."""
    found, wait = list[RunHandle](), RunHandle.next

    async def counted(handle: RunHandle, within: float | None = None) -> Record | None:
        if (record := await wait(handle, within)) is None:
            found.append(handle)
        return record

    monkeypatch.setattr(RunHandle, "next", counted)
    return found


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.002)


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


def put_document(kubernetes: FakeKubernetes, document: AgentDocument) -> str:
    """Store what the instance's agent has, as the operator does; return the digest, which belongs into the instance's status."""
    metadata = {"name": names.installed_skills("demo"), "namespace": "default"}
    data = {agent_document.DOCUMENT: agent_document.render(document)}
    kubernetes.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    return agent_document.digest(document)


def warm_instance(
    model: Model, script: str = "instant", generation: str = GENERATION, *, observed: int = 1, **spec: Any
) -> Object:
    agent = {"model": script, "baseURL": model.url, "warmPool": {"size": 4}}
    limit = {"rateLimit": {"requestsPerMinute": 1_000_000, "burstSize": 1_000_000}}
    found = instance(agents={"default": agent}, **{"webEndpoint": limit} | spec)
    return found | {"status": {"observedGeneration": observed, "warmPool": {"generation": generation, "idle": 4}}}


@asynccontextmanager
async def listening(app: ASGIApp, port: int = 0, http: HttpProtocol = "auto") -> AsyncIterator[str]:
    """An application on a port of the loopback interface, a free one unless it is named."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        # As uvloop does in our processes: asyncio leaves it to the kernel, where each answer waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            app, http=http, lifespan="off", log_config=None, timeout_graceful_shutdown=1, proxy_headers=False
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = server.force_exit = True
        await serving


@pytest.fixture
def tracing() -> Tracing:
    """Without an exporter; tests of spans have their own."""
    return Tracing()


@pytest.fixture
def max_body_bytes() -> int:
    """The largest body of a request; small, so that tests of the limit are fast."""
    return 64 * 1024


@pytest.fixture
def http_protocol() -> HttpProtocol:
    """How requests are parsed: by uvicorn itself."""
    return "auto"


@pytest.fixture
async def proxy(
    tmp_path: Path, tracing: Tracing, max_body_bytes: int, http_protocol: HttpProtocol
) -> AsyncIterator[Proxy]:
    (tmp_path / "api-key").write_text(f"{KEY}\n")
    kubernetes, clock = FakeKubernetes(), FakeClock()
    issuer = TokenIssuer(kubernetes)
    kubernetes.put(instance())
    settings = WebProxySettings(
        *("default", "demo", "127.0.0.1"),
        api_keys=tmp_path,
        session_key=session_key(tmp_path),
        max_body_bytes=max_body_bytes,
    )
    async with assembled(kubernetes, settings, clock, tracing, http_protocol=http_protocol) as (
        context,
        url,
        surface,
        http,
    ):
        yield Proxy(url, surface, kubernetes, issuer, context, http, clock, tmp_path)


def session_key(folder: Path, key: str = "5" * 64) -> Path:
    """The mounted file with the key of MCP sessions."""
    file = folder / "session-key"
    file.write_text(key)
    return file


@asynccontextmanager
async def assembled(
    kubernetes: FakeKubernetes,
    settings: WebProxySettings,
    clock: Clock,
    tracing: Tracing | None = None,
    *,
    port: int = 0,
    http_protocol: HttpProtocol = "auto",
) -> AsyncIterator[tuple[WebProxyContext, str, str, httpx2.AsyncClient]]:
    """A web-proxy that is ready, with the addresses of its two ports and a client of the first."""
    made = assemble(kubernetes, settings, clock, tracing)
    watches = [asyncio.ensure_future(watch()) for watch in made.watches]
    async with (
        listening(made.agent_api) as surface,
        listening(made.app, port, http_protocol) as url,
        httpx2.AsyncClient(base_url=url, timeout=60) as http,
    ):
        await eventually(made.context.runs_known)
        yield made.context, url, surface, http
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with serving() as running:
        yield running


@pytest.fixture
async def agents(proxy: Proxy, model: Model, tmp_path: Path) -> AsyncIterator[Agents]:
    """The instance calls the scripted model, and every run has an agent."""
    await proxy.use_model(model, "instant")
    (tmp_path / "pods").mkdir()
    found = Agents(proxy.kubernetes, proxy.issuer, proxy.surface, tmp_path / "pods")
    running = asyncio.create_task(found.run())
    yield found
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def sdk(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client
