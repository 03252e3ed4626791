"""The bytes of callers' content that a process may hold at once."""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_http import request_state

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Fits a container of 384 MiB: parsed JSON takes several times the bytes of its text, and the process itself about 75 MiB."""
_PIECE_BYTES = 64 * 1024
"""Bytes of a long body that are sent at once: as many as a connection holds before it makes the next piece wait."""
_STUCK_SECONDS = 60.0
"""Seconds for which a client may read nothing of a long body."""


class ByteBudget:
    """The bytes that a process holds for requests and answers, and the most that it may hold before it refuses new work."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self.used = 0
        self.waiting = 0
        """The bytes among them of requests that wait for room."""

    @property
    def is_spent(self) -> bool:
        """Return true if the process holds as much as it may. What is under way continues."""
        return self.used >= self.limit

    def add(self, size: int) -> None:
        """Count bytes that are held from now on; a negative size, bytes that are held no longer."""
        self.used += size


class HeldBytes:
    """ASGI layer that counts an answer's bytes while they are sent, and releases what its request held when it ends."""

    def __init__(self, app: ASGIApp, budget: ByteBudget) -> None:
        self._app = app
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            size = len(message.get("body", b""))
            self._budget.add(size)
            try:
                if size <= _PIECE_BYTES:
                    await send(message)
                else:
                    await _send_in_pieces(send, message)
            finally:
                self._budget.add(-size)

        try:
            await self._app(scope, receive, counted)
        finally:
            self._budget.add(-request_state.of(scope).held_bytes)


async def _send_in_pieces(send: Send, message: Message) -> None:
    """Send a long body, and return once its reader has taken most of it: a server takes a body of any length at once, and keeps it.

    Raises ClientDisconnect if the client reads nothing for a minute.
    """
    body, more_follows = message["body"], message.get("more_body", False)
    for begin in range(0, len(body), _PIECE_BYTES):
        end = begin + _PIECE_BYTES
        try:
            async with asyncio.timeout(_STUCK_SECONDS):
                await send({**message, "body": body[begin:end], "more_body": more_follows or end < len(body)})
        except TimeoutError as error:
            raise ClientDisconnect from error
