"""Every request of a pod is counted, logged in one line and traced, without content."""

import time
from dataclasses import dataclass

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_api import logs
from sympozium_api.run import AgentRun
from sympozium_http import request_state
from sympozium_http.tracing import PodRequest, Tracing
from sympozium_runs.agent_api_metrics import AgentApiMetrics

log = structlog.get_logger()

_UNLOGGED = ("/healthz", "/metrics")


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
    """ASGI middleware. The routes fill in the request's ``PodRequestState``."""

    def __init__(self, app: ASGIApp, metrics: AgentApiMetrics, tracing: Tracing) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in _UNLOGGED:
            await self._app(scope, receive, send)
            return
        began, began_ns, status = time.monotonic(), time.time_ns(), 499

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, tell)
            finally:
                self._note(scope, status, time.monotonic() - began, began_ns)

    def _note(self, scope: Scope, status: int, seconds: float, began_ns: int) -> None:
        route = getattr(scope.get("route"), "path", "other")
        state = state_of(scope)
        self._metrics.requests.labels(route, str(status)).inc()
        if status == 204:
            return  # an idle pod that asks again
        fields = logs.run_fields(state.run) if state.run else {}
        fields |= {name: value for name, value in (("pod", state.pod), ("reason", state.reason)) if value is not None}
        tell = log.warning if status >= 500 else log.info
        tell("pod request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4), **fields)
        if state.run:
            self._tracing.pod_request(PodRequest(state.run, scope["method"], route, status, began_ns))
