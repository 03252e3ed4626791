"""The endpoint of Prometheus. It asks for no key, so it has a port of its own, which no route from outside leads to."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_NOT_FOUND = Response(status_code=404)


class MetricsEndpoint:
    """ASGI application of ``GET /metrics``; all other requests go to ``app``, by default to a 404."""

    def __init__(self, registry: CollectorRegistry, app: ASGIApp = _NOT_FOUND) -> None:
        self._registry = registry
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = self._app
        if scope["type"] == "http" and scope["path"] == "/metrics" and scope["method"] in ("GET", "HEAD"):
            app = Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
        await app(scope, receive, send)
