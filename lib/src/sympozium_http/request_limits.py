"""What a connection may send before it is a request: below ASGI, where uvicorn itself sets no bounds."""

import asyncio
import json
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

RECEIVE_SECONDS = 15.0
"""From a connection's start, or a later request's first byte, to the request's last."""
_LINGER_SECONDS = 1.0
LARGEST_HEAD = 64 * 1024
"""Bytes of a request's line and headers."""


class HeaderLimits(HttpToolsProtocol):
    """Cuts off who sends a request's line and headers slowly, or without end; its body may take as long as it likes.

    A connection carries one request at a time. What is sent before the answer has come is dropped, and the connection ends with the answer:
    uvicorn would stop reading instead, and no longer see that the caller has left.
    """

    receive_seconds = RECEIVE_SECONDS
    _stage: Literal["idle", "head", "body"] = "idle"
    _requests = 0
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _refused = False
    _surplus = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The clock runs from here: a connection that never says anything is one too many."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for."""
        self._stop_clock()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The caller has closed its side: it leaves, and what is still written would meet a closed connection."""
        self._abandon()

    def data_received(self, data: bytes) -> None:
        """Look at what has come, once the parser has."""
        if self._refused or self._surplus:
            return
        stage, requests = self._stage, self._requests
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if stage == self._stage == "head":
            self._head_bytes += len(data)
        if self._head_bytes > LARGEST_HEAD:
            self._refuse_head()
            return
        begins_nothing = stage == self._stage == "idle" and self._requests == requests
        if self._stage == "head" or (begins_nothing and self._waits()):
            self._start_clock()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if not self._waits():
            self._surplus, self.cycle.keep_alive = True, False
            return
        self._stage, self._head_bytes = "head", 0
        self._requests += 1

    def on_headers_complete(self) -> None:
        """A request's head is whole."""
        if self._surplus:
            return
        self._stage, self._head_bytes = "body", 0
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD:
            self._refuse_head()
            return
        self._head_came()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        if not self._refused and not self._surplus:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._surplus:
            return
        self._stage = "idle"
        self._stop_clock()
        if not self._refused:
            super().on_message_complete()

    def _head_came(self) -> None:
        self._stop_clock()

    def _waits(self) -> bool:
        """Whether the connection has nothing to do: no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _start_clock(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.receive_seconds, self._too_slow)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self._stage == "idle":
            self.transport.close()  # nothing was asked
        else:
            text = f"The request did not arrive within {self.receive_seconds:g} seconds."
            self._refuse(408, text, code="request_timeout")

    def _refuse_head(self) -> None:
        text = f"The request's line and headers are larger than {LARGEST_HEAD} bytes."
        self._refuse(431, text, code="headers_too_large")

    def _refuse(self, status: int, message: str, *, code: str) -> None:
        """Say why, unless an answer has begun on this connection, and hang up."""
        self._refused = True
        self._stop_clock()
        if self._waits() or not self.cycle.response_started:
            self.transport.write(_answer(status, message, code))
            self.transport.write_eof()
        # What still comes is dropped for a moment: closing at once would meet it with a reset, and that destroys the answer.
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self._hang_up)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        super().send_400_response(msg)
        self._abandon()

    def _hang_up(self) -> None:
        self._abandon()
        self.transport.close()

    def _abandon(self) -> None:
        """Nobody waits for the answer any more, if one is on its way."""
        if not self._waits():
            self.cycle.disconnected = True
            self.cycle.message_event.set()


class RequestLimits(HeaderLimits):
    """Cuts off who sends a request slowly, its body included."""

    def _head_came(self) -> None:
        """The clock runs on until the body is whole."""


def _answer(status: int, message: str, code: str) -> bytes:
    error: dict[str, Any] = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    body = json.dumps({"error": error}).encode()
    head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head.encode() + body
