"""The access log of every HTTP server. An ASGI layer, not BaseHTTPMiddleware, because that hides when a client disconnects."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_api import names
from sympozium_api.trace_context import TraceContext
from sympozium_http import request_state, tracing
from sympozium_http.request_metrics import RequestMetrics
from sympozium_http.request_state import RequestState
from sympozium_http.tracing import Tracing

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_UNLOGGED = ("/health", "/healthz", "/readyz", "/metrics")
_FAILED = 400
_CLIENT_DISCONNECTED = 499
"""Status in log and metrics of a request whose caller left before an answer began, as nginx counts it."""


class AccessLog:
    """The outermost layer: gives each request an id and a span, counts it and logs one line about it, without content."""

    def __init__(
        self, app: ASGIApp, metrics: RequestMetrics, tracing: Tracing, *, unlogged: tuple[str, ...] = ()
    ) -> None:
        """``unlogged``: beginnings of paths, such as those of static files, whose requests are counted and get a line if they fail only."""
        self._app = app
        self._metrics = metrics
        self._tracing = tracing
        self._unlogged = unlogged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = self._begin(scope)
        status = _CLIENT_DISCONNECTED

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = state.request_id
                for name, value in state.answer_headers.items():
                    headers.setdefault(name, value)
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, send_with_headers)
            except ClientDisconnect:
                pass  # in the middle of its body: there is nobody to answer
            finally:
                self._end(scope, state, status)

    def _begin(self, scope: Scope) -> RequestState:
        headers = Headers(scope=scope)
        wished = headers.get("x-request-id", "")
        caller = TraceContext.of(headers.get("traceparent"), ",".join(headers.getlist("tracestate")))
        source = self._tracing if scope["path"] not in _UNLOGGED else Tracing()
        method = scope["method"]
        state = request_state.of(scope)
        state.request_id = wished if _REQUEST_ID.fullmatch(wished) else f"req_{uuid.uuid4().hex}"
        state.started = time.monotonic()
        state.span = source.span(method, parent=caller, attributes={"http.request.method": method})
        return state

    def _end(self, scope: Scope, state: RequestState, status: int) -> None:
        route = getattr(scope.get("route"), "path", "other")
        seconds = time.monotonic() - state.started
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.duration.labels(route).observe(seconds)
        tracing.end_request(state.span, scope["method"], route, status)
        if state.key_id is not None:
            self._metrics.by_key.labels(names.key_label(state.key_id), str(status)).inc()
        if scope["path"] in _UNLOGGED or (status < _FAILED and scope["path"].startswith(self._unlogged)):
            return
        fields = {"request_id": state.request_id}
        if state.key_id is not None:
            fields["key_id"] = state.key_id
        fields |= state.log_fields
        if trace := state.span.context:
            fields["trace_id"] = trace.trace_id
        log.info("request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4), **fields)
