"""Limits on how requests arrive, below ASGI, where uvicorn itself sets none."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from sympozium_http.request_parser import RequestParser, UntilClose

RECEIVE_SECONDS = 15.0
"""Seconds from a connection's start, or a later request's first byte, to the end of its head, and by default to its last byte."""
_LINGER_SECONDS = 1.0
"""Seconds for which input is dropped after a refusal, before the connection is closed."""
LARGEST_HEAD = 64 * 1024
"""Most bytes of a request line and its headers together, and of a chunked body's trailers."""


@dataclass(frozen=True)
class BodySeconds:
    """Seconds from a request's first byte to its last, in each of an application's routes."""

    others: float = RECEIVE_SECONDS
    uploads: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the routes that take uploads, by their path, which includes all paths below it."""

    def of(self, path: str) -> float:
        """Return the seconds of a request's path."""
        return next((time for route, time in self.uploads.items() if f"{path}/".startswith(f"{route}/")), self.others)


class HeaderLimits(HttpToolsProtocol):
    """Closes connections that send the request line and headers too slowly or without bound. A body may take any time.

    Trailers have the same bound, because httptools holds one until it is complete and copies it for each read.
    A connection carries one request at a time. A pipelined request is dropped, and the connection closes after the current
    answer, because uvicorn would stop reading instead and no longer see that the caller disconnects.
    """

    receive_seconds = RECEIVE_SECONDS
    _stage: Literal["idle", "head", "body"] = "idle"
    _requests = 0
    _head_bytes = 0
    """Bytes of a head, or those since the last piece of a body, which are trailers or the framing of chunks."""
    _deadline: asyncio.TimerHandle | None = None
    _began_at = 0.0
    """Time of the event loop at which the clock was started."""
    _seconds = RECEIVE_SECONDS
    """Seconds after which the clock ends."""
    _refused = False
    _surplus = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = RequestParser(self)  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a connection that never sends anything is closed as well."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock, and let go of the parser."""
        self._stop_clock()
        parser: RequestParser = self.parser  # type: ignore[assignment]
        super().connection_lost(exc)
        parser.close()

    def eof_received(self) -> None:
        """Treat a half-closed connection as a disconnect: nothing written from now on would be read."""
        self._abandon()

    def data_received(self, data: bytes) -> None:
        """Parse input, then check how much of it is a head, and start the clock for a request that has begun."""
        if self._refused or self._surplus:
            return
        stage, requests = self._stage, self._requests
        if stage != "idle":
            self._head_bytes += len(data)
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if self._head_bytes > LARGEST_HEAD:
            self._refuse_head()
            return
        begins_nothing = stage == self._stage == "idle" and self._requests == requests
        if self._stage == "head" or (begins_nothing and self._is_idle()):
            self._start_clock()

    def on_message_begin(self) -> None:
        """Count a request that begins, unless another one is still being answered."""
        super().on_message_begin()
        if not self._is_idle():
            self._surplus, self.cycle.keep_alive = True, False
            return
        self._stage, self._head_bytes = "head", 0
        self._requests += 1

    def on_headers_complete(self) -> None:
        """Check the size of a complete head."""
        if self._surplus:
            return
        self._stage, self._head_bytes = "body", 0
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD:
            self._refuse_head()
            return
        self._on_head()
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0" and self.cycle is not None:
            self.cycle.chunked_encoding, self.cycle.expected_content_length = False, UntilClose()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of a body on, unless its request was refused."""
        self._head_bytes = 0
        if not self._refused and not self._surplus:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock when a request is complete."""
        if self._surplus:
            return
        self._stage, self._head_bytes = "idle", 0
        self._stop_clock()
        if not self._refused:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand a connection over to its WebSocket, without a clock, unless the request was refused or came too early."""
        self._stage = "idle"
        if not self._refused and not self._surplus:
            self._stop_clock()
            parser: RequestParser = self.parser  # type: ignore[assignment]
            super().handle_websocket_upgrade()
            parser.close()

    def _on_head(self) -> None:
        self._stop_clock()

    def _is_idle(self) -> bool:
        """Return whether no request of the connection is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _start_clock(self) -> None:
        if self._deadline is None:
            self._began_at = self.loop.time()
            self._set_clock(self.receive_seconds)

    def _set_clock(self, seconds: float) -> None:
        """Let the clock end so many seconds after its start."""
        self._stop_clock()
        self._seconds = seconds
        self._deadline = self.loop.call_at(self._began_at + seconds, self._too_slow)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self._stage == "idle":
            self.transport.close()  # no request has begun
        else:
            text = f"The request did not arrive within {self._seconds:g} seconds."
            self._refuse(408, text, code="request_timeout")

    def _refuse_head(self) -> None:
        text = f"The request's line and headers, or its trailers, are larger than {LARGEST_HEAD} bytes."
        self._refuse(431, text, code="headers_too_large")

    def _refuse(self, status: int, message: str, *, code: str) -> None:
        """Answer with an error, unless another answer has begun on this connection, and close it."""
        self._refused = True
        self._stop_clock()
        if self._is_idle() or not self.cycle.response_started:
            self.transport.write(_answer(status, self.error_body(status, message, code)))
            self.transport.write_eof()
        # Input is dropped for a moment, because closing at once would answer it with a reset, which destroys the answer.
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self._close)

    @staticmethod
    def error_body(status: int, message: str, code: str) -> dict[str, Any]:  # noqa: ARG004 - another shape may need the status
        """Return the body of a refusal, in the shape of OpenAI; the server of another dialect has its own."""
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}

    def send_400_response(self, msg: str) -> None:
        """Answer input that is not HTTP, and give up the request under way."""
        super().send_400_response(msg)
        self._abandon()

    def _close(self) -> None:
        self._abandon()
        self.transport.close()

    def _abandon(self) -> None:
        """Report a disconnect to the application that is still answering, if any."""
        if not self._is_idle():
            self.cycle.disconnected = True
            self.cycle.message_event.set()


class RequestLimits(HeaderLimits):
    """Closes connections that send a request too slowly, its body included."""

    body_seconds: BodySeconds | None = None
    """Time for bodies; None: that of heads."""

    def _on_head(self) -> None:
        """Let the clock run until the body is complete, for as long as bodies of the route may take."""
        if self.body_seconds is not None and self._deadline is not None:
            path = self.url.partition(b"?")[0].decode("latin-1")
            if (seconds := self.body_seconds.of(path)) != self._seconds:
                self._set_clock(seconds)


def with_body_seconds(http: type[HeaderLimits], seconds: BodySeconds | None) -> type[HeaderLimits]:
    """Return limits with another time for bodies; those that do not limit bodies as they are."""
    return type(http.__name__, (http,), {"body_seconds": seconds}) if issubclass(http, RequestLimits) else http


def _answer(status: int, content: dict[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head.encode() + body
