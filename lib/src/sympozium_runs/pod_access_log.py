"""The access log of the agent API: every request of a pod is counted, logged in one line and traced, without content."""

import time
from dataclasses import dataclass
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_api import logs
from sympozium_api.run import AgentRun
from sympozium_http import request_state
from sympozium_http.tracing import Tracing
from sympozium_runs.run_tracing import record_pod_request

log = structlog.get_logger()

_UNLOGGED = ("/healthz", "/metrics")
_CLIENT_DISCONNECTED = 499
"""Status in log and metrics of a request whose pod left before an answer began, as nginx counts it."""


class PodRequestMetrics(Protocol):
    """Metrics of pods' requests."""

    requests: Counter
    """Counter by route and status."""
    in_flight: Gauge
    """Number of requests that are being served."""


@dataclass
class PodRequestState:
    """State of one request of a pod, which the routes fill in as they learn it."""

    run: AgentRun | None = None
    """The run that the request is about."""
    pod: str | None = None
    """Name of the pod, once its token is verified."""
    reason: str | None = None
    """Reason of a refusal. No content."""


def state_of(source: HTTPConnection | Scope) -> PodRequestState:
    """Return the state of a pod's request or of its ASGI scope, which lasts as long as the request."""
    return request_state.attached(source, PodRequestState)


class PodAccessLog:
    """ASGI layer around the routes, which fill in the request's ``PodRequestState``."""

    def __init__(self, app: ASGIApp, metrics: PodRequestMetrics, tracing: Tracing) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _UNLOGGED:
            await self._app(scope, receive, send)
            return
        began, began_ns, status = time.monotonic(), time.time_ns(), _CLIENT_DISCONNECTED

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, observed)
            finally:
                self._end(scope, status, time.monotonic() - began, began_ns)

    def _end(self, scope: Scope, status: int, seconds: float, began_ns: int) -> None:
        route = getattr(scope.get("route"), "path", "other")
        state = state_of(scope)
        self._metrics.requests.labels(route, str(status)).inc()
        if status == 204:
            return  # an idle pod that will poll again
        fields = logs.run_fields(state.run) if state.run else {}
        fields |= {name: value for name, value in (("pod", state.pod), ("reason", state.reason)) if value is not None}
        write = log.warning if status >= 500 else log.info
        write("pod request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4), **fields)
        if state.run:
            record_pod_request(
                self._tracing, state.run, method=scope["method"], route=route, status=status, began_ns=began_ns
            )
