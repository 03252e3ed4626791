"""The ASGI application of port 8082."""

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_egress.egress_metrics import EgressMetrics
from sympozium_egress.provider_routes import ProviderRoutes
from sympozium_egress.tool_calls import ToolCalls, refuse
from sympozium_http.internal_error import InternalErrorAnswer
from sympozium_http.tracing import Tracing
from sympozium_runs import pod_access_log
from sympozium_runs.cluster_tokens import Forbidden, Unverified
from sympozium_runs.pod_access_log import PodAccessLog


def create_egress_app(
    calls: ToolCalls,
    providers: ProviderRoutes,
    client: Client,
    metrics: EgressMetrics,
    tracing: Tracing | None = None,
) -> Starlette:
    """Return the application."""

    async def ready(_: Request) -> Response:
        answers = await client.answers()
        return JSONResponse({"ready": answers}, status_code=200 if answers else 503)

    routes = [
        Route("/runs/{run}/tools/{function}", calls.call, methods=["POST"]),
        Route("/providers/{namespace}/{name}/verify", providers.verify, methods=["POST"]),
        Route("/providers/{namespace}/{name}/models", providers.models, methods=["GET"]),
        Route("/healthz", _health, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
    ]
    handlers: dict[Any, Any] = dict.fromkeys((HTTPException, Unverified, ApiError, ApiUnavailable), refuse)
    handlers[Forbidden] = _unauthorized
    layers = [
        Middleware(PodAccessLog, metrics=metrics, tracing=tracing or Tracing()),
        Middleware(InternalErrorAnswer, answer=_internal_error),
    ]
    app = Starlette(routes=routes, exception_handlers=handlers, middleware=layers)
    app.router.redirect_slashes = False
    return app


async def _unauthorized(request: Request, error: Exception) -> Response:
    pod_access_log.state_of(request).reason = str(error)
    return JSONResponse({"error": str(error)}, status_code=401)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _internal_error(_: Request) -> Response:
    return JSONResponse({"error": "internal error"}, status_code=500)
