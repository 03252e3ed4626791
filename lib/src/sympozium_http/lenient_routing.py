"""ASGI layers for requests whose path or method differs in form only. No request is redirected: some clients drop a POST's body then."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SLASHES = re.compile("/{2,}")


class PlainPaths:
    """Layer that serves ``//v1/models`` and ``/v1/models/`` as ``/v1/models``. It lies outside of all layers that read the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope["path"] = plain_path(scope["path"])
        await self._app(scope, receive, send)


def plain_path(path: str) -> str:
    """Return a path without repeated slashes and without one at its end."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


class HeadAsGet:
    """Layer that answers HEAD with the status and headers of GET. A stream ends with its headers, as if its caller had left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        has_answer = False

        async def receive_end() -> Message:
            return {"type": "http.disconnect"} if has_answer else await receive()

        async def send_head(message: Message) -> None:
            nonlocal has_answer
            if has_answer:
                return
            has_answer = True
            await send(message)
            await send({"type": "http.response.body", "body": b""})

        get = {**scope, "method": "GET"}
        try:
            await self._app(get, receive_end, send_head)
        finally:
            scope["route"] = get.get("route")  # which the access log names
