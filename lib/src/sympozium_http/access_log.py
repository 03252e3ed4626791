"""ASGI layers around the routes; not BaseHTTPMiddleware, which hides when a client disconnects."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_api import names
from sympozium_api.trace_context import TraceContext
from sympozium_http import request_state
from sympozium_http.request_metrics import RequestMetrics
from sympozium_http.tracing import Tracing

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_UNLOGGED = ("/health", "/healthz", "/readyz", "/metrics")


class AccessLog:
    """Gives each request an id and a span, counts it and logs one line about it, without content."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, tracing: Tracing) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else f"req_{uuid.uuid4().hex}"
        started = time.monotonic()
        caller = TraceContext.of(headers.get("traceparent"), ",".join(headers.getlist("tracestate")))
        tracing = self._tracing if scope["path"] not in _UNLOGGED else Tracing()
        span = tracing.request(caller, scope["method"])
        state = request_state.of(scope)
        state.request_id, state.started, state.span = request_id, started, span
        status = 499  # as long as no answer has begun: the caller may leave before

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in state.limit_headers.items():
                    headers.setdefault(name, value)
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, tell)
            except ClientDisconnect:
                pass  # in the middle of its body: nobody is there to be answered
            except Exception:
                status = 500 if status == 499 else status  # as the handler outside of this layer answers
                raise
            finally:
                self._note(scope, status, time.monotonic() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.duration.labels(route).observe(seconds)
        state = request_state.of(scope)
        state.span.end(route, status)
        if state.key_id is not None:
            self._metrics.by_key.labels(names.key_label(state.key_id), str(status)).inc()
        if scope["path"] not in _UNLOGGED:
            fields = {"request_id": state.request_id}
            if state.key_id is not None:
                fields["key_id"] = state.key_id
            fields |= state.log_fields
            if trace := state.span.context:
                fields["trace_id"] = trace.trace_id
            log.info("request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4), **fields)
