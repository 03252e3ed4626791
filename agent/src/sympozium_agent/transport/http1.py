"""One HTTP/1.1 request over one connection, whose answer is read while its body is still being written.

Why not httpx2, for the runs surface: it reads no answer before the request's body has ended. An answer of 410 to an open
events request, which then is closed, was noticed by httpx2 only at the third token after it, as a ReadError: the tokens
written meanwhile were met by a reset, which destroys an unread answer. And for both peers: importing and setting up
httpx2 takes 65 ms of a cold start, h11, the protocol machine on which it stands, 6 ms.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import h11

CONNECT_SECONDS = 10.0
"""For a connection to the model."""
_LARGEST_ANSWER = 64 * 1024 * 1024
_LARGEST_HEAD = 100 * 1024
_LARGEST_BACKLOG = 16 * 1024 * 1024
"""Bytes that a peer may leave unread before it counts as dead."""
_READ_BYTES = 65536


class Broken(Exception):
    """No connection, or it ended before a whole answer had come."""


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Head:
    """A response's status and content type, before its body."""

    status: int
    content_type: str


class Response(Protocol):
    """An answer whose body is still to come."""

    @property
    def head(self) -> Head:
        """Status and content type."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Broken."""


class Exchange:
    """A request that was begun. ``send`` any number of times, ``finish`` once, and wait for the answer meanwhile."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)

    def begin(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """Send the head. Raises Broken for headers that HTTP does not allow, without quoting them."""
        try:
            self._write(h11.Request(method=method, target=target, headers=list(headers.items())))
        except (h11.LocalProtocolError, UnicodeEncodeError) as failure:
            raise Broken("the address or a header is not valid in HTTP") from failure

    def send(self, data: bytes) -> None:
        """Send a piece of the body at once, as a chunk; what the transport cannot take yet leaves in one go later."""
        self._write(h11.Data(data=data))

    def finish(self) -> None:
        """End the body."""
        self._write(h11.EndOfMessage())

    async def answer(self) -> Answer:
        """The whole response, whenever it comes. Raises Broken."""
        head = await self.head()
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > _LARGEST_ANSWER:
                raise Broken("the answer is too large")
        return Answer(head.status, bytes(body))

    async def head(self) -> Head:
        """The response as far as its body, whenever it comes. Raises Broken."""
        while isinstance(event := await self._next_event(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise Broken("closed without an answer")
        content_type = dict(event.headers).get(b"content-type", b"")
        return Head(event.status_code, content_type.decode("latin-1"))

    async def pieces(self) -> AsyncIterator[bytes]:
        """The response's body after ``head``, as it comes. Raises Broken."""
        while isinstance(event := await self._next_event(), h11.Data):
            yield bytes(event.data)

    async def _next_event(self) -> h11.Event:
        try:
            while not isinstance(event := self._http.next_event(), h11.Event):
                self._http.receive_data(await self._reader.read(_READ_BYTES))
        except (OSError, h11.RemoteProtocolError) as failure:
            raise Broken(str(failure)) from failure
        return event

    def _write(self, event: h11.Event) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return  # whoever waits for the answer hears of it
        self._writer.write(self._http.send(event) or b"")
        if transport.get_write_buffer_size() > _LARGEST_BACKLOG:
            transport.abort()


class Connection(NamedTuple):
    """An open connection, on which nothing was said yet."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_closed(self) -> bool:
        """Whether the peer has closed it, as far as is known."""
        return self.reader.at_eof() or self.writer.is_closing()

    def close(self) -> None:
        """Nothing is left to be read or flushed."""
        self.writer.transport.abort()


async def open_connection(url: str, within: float) -> Connection:
    """A connection to a URL's host, within so many seconds. Raises Broken."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise Broken("the address is neither http:// nor https://")
    secure = parts.scheme == "https"
    try:
        async with asyncio.timeout(within):
            # without happy_eyeballs_delay, with which asyncio loses the socket when this is cancelled as it connects
            opened = Connection(
                *await asyncio.open_connection(
                    parts.hostname, parts.port or (443 if secure else 80), ssl=secure or None
                )
            )
    except (OSError, ValueError) as failure:  # ValueError: no port, or no name that can be looked up
        raise Broken(f"no connection: {failure or 'timed out'}") from failure
    _notice_silence(opened.writer.get_extra_info("socket"))
    return opened


@asynccontextmanager
async def exchange(
    method: str, url: str, headers: Mapping[str, str], *, connect: float, spare: Connection | None = None
) -> AsyncIterator[Exchange]:
    """Open a connection within ``connect`` seconds, unless there is a spare one, and begin a request on it. Raises Broken."""
    connection = spare or await open_connection(url, connect)
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    opened = Exchange(connection.reader, connection.writer)
    try:
        opened.begin(method, target, {"host": parts.netloc, "connection": "close"} | dict(headers))
        yield opened
    finally:
        connection.close()


def _notice_silence(connection: socket.socket) -> None:
    """Probe an idle connection: a peer whose node is gone says nothing, and is noticed within half a minute."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
