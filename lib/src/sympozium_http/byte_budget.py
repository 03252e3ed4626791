"""The bytes of callers' content that a process may hold at once."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_http import request_state

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Fits a container of 384 MiB: parsed JSON takes several times the bytes of its text, and the process itself about 75 MiB."""


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
                await send(message)  # returns once a slow reader has taken most of it
            finally:
                self._budget.add(-size)

        try:
            await self._app(scope, receive, counted)
        finally:
            self._budget.add(-request_state.of(scope).held_bytes)
