"""Three web-proxies that serve MCP clients, and the messages of these clients."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer, created_run
from tests.integration.conftest import KEY, assembled, instance, session_key

from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.settings import WebProxySettings

Json = dict[str, Any]


AUTH = {"Authorization": f"Bearer {KEY}"}


BOTH = {"Accept": "application/json, text/event-stream"}


VERSIONS = ("2025-03-26", "2025-06-18", "2025-11-25")


@dataclass
class Replica:
    """One web-proxy, at an address of its own."""

    context: WebProxyContext
    http: httpx2.AsyncClient
    surface: str
    stack: AsyncExitStack

    async def post(self, message: Any, session: str | None = None, **headers: str) -> httpx2.Response:
        named = {"Mcp-Session-Id": session} if session else {}
        return await self.http.post("/mcp", json=message, headers={**AUTH, **BOTH, **named, **headers})

    async def begin(self, version: str = "2025-11-25") -> str:
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        answer = await self.post(request("initialize", params, id_="begin"))
        assert answer.json()["result"]["protocolVersion"] == version
        return answer.headers["mcp-session-id"]


@dataclass
class World:
    """Three replicas of one endpoint."""

    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    keys: Path
    clock: FakeClock
    replicas: list[Replica]

    async def pod(self, at: Replica, *, among: int = 1) -> FakePod:
        return FakePod(await created_run(self.kubernetes, among=among), self.issuer, at.surface)


@asynccontextmanager
async def three_replicas(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "api-key").write_text(KEY)
    (tmp_path / "api-key-alice").write_text("sk-alice")
    kubernetes, clock = FakeKubernetes(), FakeClock()
    kubernetes.put(instance())
    found = World(kubernetes, TokenIssuer(kubernetes), tmp_path, clock, [])
    async with AsyncExitStack() as stack:
        for _ in range(3):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            settings = WebProxySettings(
                "default", "demo", "127.0.0.1", api_keys=tmp_path, session_key=session_key(tmp_path), http_port=port
            )
            own = await stack.enter_async_context(AsyncExitStack())
            made = assembled(kubernetes, settings, clock, port=port)
            context, _, surface, http = await own.enter_async_context(made)
            found.replicas.append(Replica(context, http, surface, own))
        yield found


def request(method: str, params: Json | None = None, id_: str | int = 1) -> Json:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params or {}}


def ask(id_: str | int = 1, **about: Any) -> Json:
    return request("tools/call", {"name": "ask_agent", "arguments": {"task": "hi"}} | about, id_)


def events(text: str) -> list[tuple[str | None, Json | None]]:
    """The events of a stream: id and message."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.partition(":")[::2] for line in block.splitlines() if not line.startswith(":"))
        data = fields.get("data", "").strip()
        found.append((fields.get("id", "").strip() or None, json.loads(data) if data else None))
    return found
