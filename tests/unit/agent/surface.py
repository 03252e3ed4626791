"""A tiny runs surface: it hands out a task, takes records, and behaves as badly as a test asks."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
from tests.fakes.closing_server import closing_server

from sympozium_api.agent_protocol import write_task
from sympozium_api.agent_records import Task, WarmupHints


@dataclass(frozen=True)
class Reply:
    """What one request meets: after ``after`` records (None: after all), this status, or without one a broken connection."""

    status: int | None = 200
    after: int | None = None
    body: bytes = b'{"stored": true}'
    silent: bool = False
    """Read everything, answer nothing."""


STORES = Reply()
DIES_AT_ONCE = Reply(status=None, after=0)


@dataclass
class Delivery:
    """One events request, as far as it came."""

    headers: dict[str, str]
    records: list[dict[str, Any]] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    """When each record came, unix time in ms."""
    chunks: int = 0
    is_whole: bool = False

    @property
    def types(self) -> list[str]:
        return [record["type"] for record in self.records]


class Surface:
    """One replica. ``tasks`` and ``events`` are the replies to successive requests; the last one holds for all others."""

    def __init__(self, task: Task | None, *, tasks: Sequence[Reply] = (), events: Sequence[Reply] = ()) -> None:
        self.task = task
        self.url = ""
        self.deliveries: list[Delivery] = []
        self.task_requests: list[dict[str, str]] = []
        self.targets: list[str] = []
        """Path and query of the same."""
        self.prospect: WarmupHints | None = None
        """What idle pods may prepare for; None: for nothing."""
        self.tasks = list(tasks) or [Reply()]
        self.releases = Reply(status=409)
        """The reply to a pod that gives its run back."""
        self.release_requests = 0
        self._events = list(events) or [STORES]
        self._changed = asyncio.Event()

    async def until(self, *, records: int) -> None:
        """Wait, at most five seconds, until that many records have come in all."""
        async with asyncio.timeout(60):
            while sum(len(delivery.records) for delivery in self.deliveries) < records:
                self._changed.clear()
                await self._changed.wait()

    @property
    def end(self) -> dict[str, Any]:
        """The last record that came."""
        return self.deliveries[-1].records[-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        try:
            request = await _next(http, reader)
            assert isinstance(request, h11.Request)
            headers = {name.decode(): value.decode() for name, value in request.headers}
            reply = await self._take(request, headers, http, reader)
            if reply.silent:
                await reader.read()
            elif reply.status is not None:
                self._answer(http, writer, reply)
                await writer.drain()
        except (ConnectionError, h11.RemoteProtocolError):
            pass
        finally:
            writer.close()

    async def _take(
        self, request: h11.Request, headers: dict[str, str], http: h11.Connection, reader: asyncio.StreamReader
    ) -> Reply:
        if request.target.endswith(b"/release"):
            self.release_requests += 1
            return self.releases
        if request.target.endswith(b"/prospect"):
            return Reply(body=json.dumps(self.prospect).encode()) if self.prospect else Reply(status=410)
        if request.method == b"GET":
            self.task_requests.append(headers)
            self.targets.append(request.target.decode())
            reply = _next_reply(self.tasks)
            return (
                reply
                if reply.status != 200 or reply.silent
                else Reply(body=write_task(self.task).encode() if self.task else b"null")
            )
        self.deliveries.append(Delivery(headers))
        reply = _next_reply(self._events)
        await self._read(self.deliveries[-1], reply.after, http, reader)
        return reply

    async def _read(
        self, delivery: Delivery, after: int | None, http: h11.Connection, reader: asyncio.StreamReader
    ) -> None:
        rest = b""
        while after is None or len(delivery.records) < after:
            event = await _next(http, reader)
            if isinstance(event, h11.EndOfMessage):
                delivery.is_whole = True
                return
            assert isinstance(event, h11.Data)
            delivery.chunks += event.chunk_end
            *lines, rest = (rest + event.data).split(b"\n")
            delivery.records += [json.loads(line) for line in lines]
            delivery.arrivals += [time.time() * 1000] * len(lines)
            self._changed.set()

    def _answer(self, http: h11.Connection, writer: asyncio.StreamWriter, reply: Reply) -> None:
        assert reply.status is not None
        body = reply.body if reply.status != 204 else b""
        headers = [("content-length", str(len(body)))]
        for event in (h11.Response(status_code=reply.status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            writer.write(http.send(event) or b"")


def _next_reply(replies: list[Reply]) -> Reply:
    return replies.pop(0) if len(replies) > 1 else replies[0]


async def _next(http: h11.Connection, reader: asyncio.StreamReader) -> h11.Event:
    while not isinstance(event := http.next_event(), h11.Event):
        http.receive_data(await reader.read(65536))
    if isinstance(event, h11.ConnectionClosed):
        raise ConnectionResetError
    return event


@asynccontextmanager
async def replica(
    task: Task | None, *, tasks: Sequence[Reply] = (), events: Sequence[Reply] = ()
) -> AsyncIterator[Surface]:
    """A running replica."""
    surface = Surface(task, tasks=tasks, events=events)
    async with closing_server(surface.serve) as port:
        surface.url = f"http://127.0.0.1:{port}"
        yield surface
