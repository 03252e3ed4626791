"""HTTP/1.1 client: one request over one connection, whose response is read while the request's body is still being written.

The agent API is not called through httpx2, because httpx2 reads no response before the request's body has ended. When the
agent API answered 410 to an open events request and closed it, httpx2 reported a ReadError at the third token after that:
the tokens written meanwhile caused a reset, and a reset destroys an unread response. Neither is a model called through
httpx2 without a reason: importing and setting up httpx2 takes 65 ms of a cold start, h11, on which httpx2 stands, takes 6 ms.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import h11

CONNECT_SECONDS = 10.0
"""Longest wait for a connection to the model server."""
_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_HEAD_BYTES = 100 * 1024
_MAX_UNSENT_BYTES = 16 * 1024 * 1024
"""Bytes that a peer may leave unread before the connection is aborted."""
_READ_BYTES = 65536


class TransportError(Exception):
    """No connection, or a connection that ended before the whole response had arrived."""

    def __init__(self, message: str, reason: str | None = None) -> None:
        """``reason``: without a connection, a stable word for it, as in the condition ModelReachable of an instance."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class HttpResponse:
    """A whole response."""

    status: int
    body: bytes


@dataclass(frozen=True)
class ResponseHead:
    """A response's status and headers; their names are in lower case."""

    status: int
    headers: Mapping[str, str]


class UnreadResponse(Protocol):
    """A response whose body has not been read yet."""

    @property
    def head(self) -> ResponseHead:
        """Status and headers."""

    def body_chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises TransportError."""


class Http1Request:
    """A request in progress. Call ``send`` any number of times and ``finish`` once; the response may be awaited meanwhile."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)

    def begin(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """Send the head. Raises TransportError for headers that HTTP does not allow, without quoting them."""
        try:
            self._write(h11.Request(method=method, target=target, headers=list(headers.items())))
        except (h11.LocalProtocolError, UnicodeEncodeError) as failure:
            raise TransportError("the address or a header is not valid in HTTP") from failure

    def send(self, data: bytes) -> None:
        """Send a piece of the body at once, as one chunk; the event loop sends later what the socket cannot take yet."""
        self._write(h11.Data(data=data))

    def finish(self) -> None:
        """End the body."""
        self._write(h11.EndOfMessage())

    async def response(self) -> HttpResponse:
        """Wait for the whole response. Raises TransportError."""
        head = await self.response_head()
        body = bytearray()
        async for chunk in self.body_chunks():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise TransportError("the answer is too large")
        return HttpResponse(head.status, bytes(body))

    async def response_head(self) -> ResponseHead:
        """Wait for the response's status and headers. Raises TransportError."""
        while isinstance(event := await self._next_event(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise TransportError("closed without an answer")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        return ResponseHead(event.status_code, headers)

    async def body_chunks(self) -> AsyncIterator[bytes]:
        """Yield the response's body, after ``response_head``, as it arrives. Raises TransportError."""
        while isinstance(event := await self._next_event(), h11.Data):
            yield bytes(event.data)

    async def _next_event(self) -> h11.Event:
        try:
            while not isinstance(event := self._http.next_event(), h11.Event):
                self._http.receive_data(await self._reader.read(_READ_BYTES))
        except (OSError, h11.RemoteProtocolError) as failure:
            raise TransportError(str(failure)) from failure
        return event

    def _write(self, event: h11.Event) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return  # the task that waits for the response gets the error
        self._writer.write(self._http.send(event) or b"")
        if transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
            transport.abort()


class OpenConnection(NamedTuple):
    """An open connection that has carried no request yet."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_closed(self) -> bool:
        """True if the peer has closed the connection, even if the event loop has not read that yet.

        Before the request a peer sends nothing that the event loop does not read at once, so unread bytes are the close.
        """
        if self.reader.at_eof() or self.writer.is_closing():
            return True
        unread, _, _ = select.select([self.writer.get_extra_info("socket")], [], [], 0)
        return bool(unread)

    def close(self) -> None:
        """Close the connection at once: nothing is left to be read or flushed."""
        self.writer.transport.abort()


async def connect(url: str, timeout: float) -> OpenConnection:  # noqa: ASYNC109 - a value of Timeouts, which names it
    """Connect to a URL's host within ``timeout`` seconds. Raises TransportError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise TransportError("the address is neither http:// nor https://", "InvalidAddress")
    secure = parts.scheme == "https"
    try:
        async with asyncio.timeout(timeout):
            # without happy_eyeballs_delay, because asyncio then loses the socket when it is cancelled while connecting
            connection = OpenConnection(
                *await asyncio.open_connection(
                    parts.hostname, parts.port or (443 if secure else 80), ssl=secure or None
                )
            )
    except (OSError, ValueError) as failure:  # ValueError: no port, or no name that can be looked up
        raise no_connection(failure) from failure
    _enable_keepalive(connection.writer.get_extra_info("socket"))
    return connection


def no_connection(failure: OSError | ValueError) -> TransportError:
    """Return the error of a connection that was not made."""
    match failure:
        case socket.gaierror() | UnicodeError():
            return TransportError("name not found", "NameNotFound")
        case ConnectionRefusedError():
            return TransportError("connection refused", "ConnectionRefused")
        case TimeoutError():
            return TransportError("no connection: timed out", "Timeout")
        case ssl.SSLError():
            return TransportError(f"no TLS connection: {failure}", "TLSFailed")
        case ValueError():
            return TransportError(f"the address is not valid: {failure}", "InvalidAddress")
    return TransportError(f"no connection: {failure}", "ConnectionFailed")


@asynccontextmanager
async def open_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    connect_timeout: float,
    connection: OpenConnection | None = None,
) -> AsyncIterator[Http1Request]:
    """Begin a request on ``connection``, or on a new one opened within ``connect_timeout`` seconds. Raises TransportError."""
    connection = connection or await connect(url, connect_timeout)
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    request = Http1Request(connection.reader, connection.writer)
    try:
        request.begin(method, target, {"host": parts.netloc, "connection": "close"} | dict(headers))
        yield request
    finally:
        connection.close()


def _enable_keepalive(connection: socket.socket) -> None:
    """Probe an idle connection, because a peer whose node is gone sends nothing: it is noticed within half a minute."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
