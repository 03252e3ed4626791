"""Every request of a pod is counted, logged in one line and traced, without content."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_api import logs
from sympozium_api.run import AgentRun
from sympozium_http.tracing import PodRequest, Tracing
from sympozium_runs.agent_api_metrics import AgentApiMetrics

log = structlog.get_logger()

_UNLOGGED = ("/healthz", "/metrics")


class PodAccessLog:
    """ASGI middleware. The routes leave what they know in the request's state: ``run``, ``pod``, and ``reason`` of a refusal."""

    def __init__(self, app: ASGIApp, metrics: AgentApiMetrics, tracing: Tracing) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in _UNLOGGED:
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
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
        state = scope["state"]
        self._metrics.requests.labels(route, str(status)).inc()
        if status == 204:
            return  # an idle pod that asks again
        run: AgentRun | None = state.get("run")
        about = (logs.about(run) if run else {}) | {name: state[name] for name in ("pod", "reason") if name in state}
        tell = log.warning if status >= 500 else log.info
        tell("pod request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4), **about)
        if run:
            self._tracing.pod_request(PodRequest(run, scope["method"], route, status, began_ns))
