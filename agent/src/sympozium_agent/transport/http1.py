"""HTTP/1.1 client: one request over one connection, whose response is read while the request's body is still being written.

httpx2 reads no response before the request's body has ended. When the agent API answered 410 to an open events request and
closed it, httpx2 reported a ReadError at the third token after that: the tokens written meanwhile caused a reset, and a reset
destroys an unread response. h11 does, but its import alone costs two thirds of what a pod's start may.
"""

from __future__ import annotations

from collections import deque

from sympozium_agent.transport.connection import Connection, connect
from sympozium_agent.transport.errors import AnswerTooLarge, TransportError
from sympozium_agent.transport.response_parser import ResponseHead, ResponseParser
from sympozium_agent.transport.url import parse_url
from sympozium_api.agent_protocol import find_unsendable
from sympozium_api.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from sympozium_agent.waiting import Event, Scope

_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_UNSENT_BYTES = 16 * 1024 * 1024
"""Bytes that a peer may leave unread before the connection is aborted."""


@dataclass(frozen=True)
class HttpResponse:
    """A whole response."""

    status: int
    body: bytes


class Http1Request:
    """A request in progress, and the context in which its connection is open.

    Call ``send`` any number of times and ``finish`` once; the response may be read meanwhile. All methods are for one thread; those
    that wait raise TransportError, and what their scope raises.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parser = ResponseParser()
        self._received: deque[bytes] = deque()
        self._unsent = bytearray()
        self._is_chunked = False
        self._can_send = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def begin(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """Send the head. Raises TransportError for headers that HTTP does not allow, without quoting them."""
        if find_unsendable(headers) is not None or not _is_target(target):
            raise TransportError("the address or a header is not valid in HTTP")
        self._is_chunked = "transfer-encoding" in headers
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self._unsent += "".join(f"{line}\r\n" for line in [*lines, ""]).encode()

    def send(self, data: bytes) -> None:
        """Send a piece of the body at once, as one chunk; what the socket cannot take yet leaves while the response is read."""
        if data and self._can_send:
            self._unsent += b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data
            self._flush()

    def finish(self) -> None:
        """End the body."""
        if self._can_send:
            self._unsent += b"0\r\n\r\n" if self._is_chunked else b""
            self._flush()

    def response(self, scope: Scope, *, most_bytes: int = _MAX_BODY_BYTES) -> HttpResponse:
        """Wait for the whole response. Raises AnswerTooLarge above ``most_bytes`` of body."""
        head = self.response_head(scope)
        body = bytearray()
        for chunk in self.body_chunks(scope):
            body += chunk
            if len(body) > most_bytes:
                raise AnswerTooLarge("the answer is too large")
        return HttpResponse(head.status, bytes(body))

    def response_head(self, scope: Scope) -> ResponseHead:
        """Wait for the response's status and headers."""
        while self._parser.head is None:
            self.wait(scope)
        return self._parser.head

    def body_chunks(self, scope: Scope) -> Iterator[bytes]:
        """Yield the response's body, after ``response_head``, as it arrives."""
        while True:
            while self._received:
                yield self._received.popleft()
            if self._parser.is_complete:
                return
            self.wait(scope)

    @property
    def is_answered(self) -> bool:
        """True once the whole response has arrived."""
        return self._parser.is_complete

    def wait(self, scope: Scope, *events: Event) -> None:
        """Send and receive what can be, or wait until something can be or one of the events is set."""
        scope.check()
        if self._parser.failure is not None:
            raise TransportError(str(self._parser.failure)) from self._parser.failure
        self._flush()
        try:
            received = self._connection.receive()
            if received is None:
                self._connection.wait(scope, *events, sends=bool(self._unsent))
            else:
                self._received += self._parser.feed(received)
        except OSError as failure:
            raise TransportError(str(failure)) from failure

    def _flush(self) -> None:
        """Send what the socket takes. A connection that takes nothing any more may still hold the response."""
        try:
            while self._unsent and (sent := self._connection.send(self._unsent)):
                del self._unsent[:sent]
        except OSError:
            self._drop()
        if len(self._unsent) > _MAX_UNSENT_BYTES:
            self._drop()
            self._connection.close()

    def _drop(self) -> None:
        self._can_send = False
        self._unsent.clear()


def open_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    scope: Scope,
    *,
    connect_timeout: float,
    connection: Connection | None = None,
) -> Http1Request:
    """Begin a request on ``connection``, or on a new one opened within ``connect_timeout`` seconds. Raises TransportError."""
    parts = parse_url(url)
    connection = connection or connect(parts, connect_timeout, scope)
    request = Http1Request(connection)
    try:
        request.begin(method, parts.target, {"host": parts.authority, "connection": "close"} | dict(headers))
    except TransportError:
        request.close()
        raise
    return request


def _is_target(target: str) -> bool:
    return target.isascii() and target.isprintable() and " " not in target
