"""What web pages may do: ASGI layers that check where a request comes from, and tell browsers whose pages may read the answer."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sympozium_webproxy.endpoint import Endpoint
from sympozium_webproxy.protocol.openai.errors import OpenAIError

GUARDED = ("/mcp", "/sse", "/message")
"""Paths of MCP, whose specification asks for the check of Origin; what is below them included."""

_EXPOSED = (
    "www-authenticate",
    "mcp-session-id",
    "x-request-id",
    "x-sympozium-run",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "retry-after",
    "openai-processing-ms",
)
"""Headers of an answer that pages may read."""


class BrowserGuard:
    """Refuses requests over MCP that a page of somebody else made, or that were sent to another host: DNS rebinding."""

    def __init__(self, app: ASGIApp, endpoint: Endpoint) -> None:
        self._app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await JSONResponse(refusal.body, refusal.status)(scope, receive, send)

    def _refusal(self, scope: Scope) -> OpenAIError | None:
        if not any(f"{scope['path']}/".startswith(f"{path}/") for path in GUARDED):
            return None
        headers = Headers(scope=scope)
        origin, host = headers.get("origin"), headers.get("host", "").lower()
        hosts = _hosts(self._endpoint)
        if hosts and host not in hosts:
            return OpenAIError(421, "This endpoint is not served by this host name.", code="host_not_allowed")
        if origin is not None and origin not in _origins(self._endpoint):
            return OpenAIError(403, "Pages of this origin may not call this endpoint.", code="origin_not_allowed")
        return None


class CrossOrigin(CORSMiddleware):
    """CORS for the origins that the instance allows now. Keys come in a header, never as cookies, so no credentials are allowed."""

    def __init__(self, app: ASGIApp, endpoint: Endpoint) -> None:
        super().__init__(
            app,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=_EXPOSED,
        )
        self._endpoint = endpoint

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether pages of this origin may read answers."""
        return origin in _origins(self._endpoint)


def _origins(endpoint: Endpoint) -> set[str]:
    """Those that the instance allows, and its own: never what a request calls its host, which a rebinding page has chosen."""
    allowed = endpoint.instance.spec.web_endpoint.allowed_origins if endpoint.instance else []
    return {*allowed, _own(endpoint)} - {""}


def _hosts(endpoint: Endpoint) -> set[str]:
    """Those that the instance allows, and its own; none where any will do."""
    allowed = endpoint.instance.spec.web_endpoint.allowed_hosts if endpoint.instance else []
    return {*allowed, urlsplit(_own(endpoint)).netloc} if allowed else set()


def _own(endpoint: Endpoint) -> str:
    """The origin of the instance's URL."""
    status = endpoint.instance.status.web_endpoint if endpoint.instance else None
    return status.url or "" if status else ""
