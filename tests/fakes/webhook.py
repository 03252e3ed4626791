"""The world outside the cluster: host names with addresses, all of which lead to one scripted server on the loopback interface."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from aiohttp.abc import AbstractResolver, ResolveResult
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sympozium_egress.outgoing.http_client import HttpClient
from sympozium_egress.outgoing.resolution import CheckedHost

Script = Callable[["Received"], Awaitable[Response]]
PUBLIC = "93.184.215.14"


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def arguments(self) -> Any:
        return json.loads(self.body)


async def _ok(_: Received) -> Response:
    return JSONResponse({"ok": True})


@dataclass
class World:
    """Names, addresses and a server behind all of them."""

    port: int
    addresses: dict[str, list[str]] = field(default_factory=dict)
    """Addresses of each host name."""
    script: Script = _ok
    received: list[Received] = field(default_factory=list)
    connected: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Host and checked addresses of each connection."""
    down: set[str] = field(default_factory=set)
    """Hosts that refuse connections."""
    looked_up: list[str] = field(default_factory=list)

    async def resolve(self, host: str) -> list[str]:
        self.looked_up.append(host)
        if host not in self.addresses:
            raise OSError("no such name")
        return self.addresses[host]

    def client(self, max_answer_bytes: int = 1024 * 1024) -> HttpClient:
        return HttpClient(max_answer_bytes, resolve=self.resolve, pin=lambda host: _Loopback(self, host))

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        found = Received(request.method, headers["host"], request.url.path, headers, await request.body())
        self.received.append(found)
        await (await self.script(found))(scope, receive, send)


class _Loopback(AbstractResolver):
    """Leads a checked host to the server, whatever its port."""

    def __init__(self, world: World, host: CheckedHost) -> None:
        self._world = world
        self._host = host

    async def resolve(self, host: str, *_: object, **__: object) -> list[ResolveResult]:
        assert host == self._host.host
        self._world.connected.append((host, self._host.addresses))
        there = 1 if host in self._world.down else self._world.port
        return [ResolveResult(hostname=host, host="127.0.0.1", port=there, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def world(**addresses: list[str]) -> AsyncIterator[World]:
    """A world with these names."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = World(listener.getsockname()[1], dict(addresses))
        config = uvicorn.Config(
            found.app, interface="asgi3", lifespan="off", log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listener]))
        yield found
        server.should_exit = server.force_exit = True
        await serving
