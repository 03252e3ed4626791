"""A Service of the cluster as its callers see it: one address, behind which each new connection goes to a live process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_READ_BYTES = 65536


class Service:
    """Relays bytes to its endpoints in turn; a test may have answers lost on their way."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.endpoints: list[str] = []
        """Base URLs of those who are ready."""
        self.lost = 0
        """Number of answers so far."""
        self._losing = b""
        self._then: Callable[[], object] = lambda: None
        self._gate: asyncio.Event | None = None
        self._relays: set[asyncio.Task[None]] = set()

    def lose(self, path: str, then: Callable[[], object] = lambda: None) -> None:
        """Cut the next connection over which a request with this in its target is answered, instead of handing the answer on."""
        self._losing, self._then = path.encode(), then

    def hold(self, path: str, gate: asyncio.Event) -> asyncio.Event:
        """Hold the answer to the next request with this in its target until the gate opens; the event returned says that it came."""
        held = asyncio.Event()
        self.lose(path, held.set)
        self._gate = gate
        return held

    def cut(self) -> None:
        """Cut all connections."""
        for relay in self._relays:
            relay.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be one connection."""
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        await asyncio.wait({relay})
        self._relays.discard(relay)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers, asked = [writer], bytearray()
        try:
            there, back = await self._connected()
            writers.append(back)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_hand_on(reader, back, asked))
                ways.create_task(self._hand_back(there, writer, asked))
        except* (OSError, _Ended):
            pass
        except* asyncio.CancelledError:
            for each in writers:
                each.transport.abort()
        finally:
            for each in writers:
                each.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for endpoint in list(self.endpoints):
            with suppress(ValueError):  # it has just been taken away
                self.endpoints.remove(endpoint)
                self.endpoints.append(endpoint)
            parts = urlsplit(endpoint)
            with suppress(ConnectionError):
                return await asyncio.open_connection(parts.hostname, parts.port)
        raise ConnectionRefusedError

    async def _hand_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray) -> None:
        while data := await reader.read(_READ_BYTES):
            if self._losing and self._losing in asked.partition(b"\r\n")[0]:
                self._losing, self.lost = b"", self.lost + 1
                self._then()
                if self._gate is None:
                    break
                await self._gate.wait()
            writer.write(data)
            await writer.drain()
        raise _Ended


class _Ended(Exception):
    """One side has closed the connection."""


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray) -> None:
    while data := await reader.read(_READ_BYTES):
        if not asked:
            asked += data
        writer.write(data)
        await writer.drain()
    raise _Ended


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    """A Service without endpoints so far."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        found = Service(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = await asyncio.start_server(found.serve, sock=listener)
        try:
            yield found
        finally:
            server.close()
            found.cut()
            await asyncio.gather(*found._relays, return_exceptions=True)
