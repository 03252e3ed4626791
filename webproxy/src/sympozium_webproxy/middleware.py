"""ASGI layers around the routes; not BaseHTTPMiddleware, which hides when a client disconnects."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_webproxy.metrics import Metrics

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_UNLOGGED = ("/health", "/healthz", "/readyz", "/metrics")


class RequestTrace:
    """Gives each request an id, counts it and logs one line about it, without content."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else f"req_{uuid.uuid4().hex}"
        started = time.monotonic()
        scope.setdefault("state", {}).update(request_id=request_id, started=started)
        status = 499  # as long as no answer has begun: the caller may leave before

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in scope["state"].get("limit_headers", {}).items():
                    headers.setdefault(name, value)
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, tell)
            finally:
                self._note(scope, status, time.monotonic() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.duration.labels(route).observe(seconds)
        if scope["path"] not in _UNLOGGED:
            state = scope["state"]
            about = {name: state[name] for name in ("request_id", "key_id", "run") if name in state}
            log.info("request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4), **about)
