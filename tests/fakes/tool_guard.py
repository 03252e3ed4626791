"""A scripted egress guard: it answers calls of tools as a test says, and keeps what reached it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.closing_server import closing_server
from tests.fakes.model import Connection

Answer = tuple[int | None, dict[str, Any]]
"""Status and body. Status None: the connection breaks."""


@dataclass(frozen=True)
class Called:
    """One request."""

    path: str
    function: str
    id: str
    arguments: dict[str, Any]
    authorization: str


async def _sunny(call: Called) -> Answer:
    return 200, {"result": f"{call.function}: sunny", "isError": False}


@dataclass
class ToolGuard:
    """The guard's state. ``script`` answers each call."""

    url: str = ""
    calls: list[Called] = field(default_factory=list)
    script: Callable[[Called], Awaitable[Answer]] = _sunny
    at_once: int = 0
    """Most calls that were open at the same time."""
    _open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        with suppress(ConnectionError):
            async for request in connection.requests():
                body = json.loads(request.body)
                arguments = body["arguments"]
                arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
                function = request.path.rpartition("/")[2]
                call = Called(request.path, function, body["id"], arguments, request.headers["authorization"])
                self.calls.append(call)
                self._open += 1
                self.at_once = max(self.at_once, self._open)
                try:
                    status, answer = await self.script(call)
                finally:
                    self._open -= 1
                if status is None:
                    break
                await connection.answer(status, answer)
        writer.close()


@asynccontextmanager
async def tool_guard() -> AsyncIterator[ToolGuard]:
    """A running guard."""
    guard = ToolGuard()
    async with closing_server(guard.serve) as port:
        guard.url = f"http://127.0.0.1:{port}"
        yield guard
