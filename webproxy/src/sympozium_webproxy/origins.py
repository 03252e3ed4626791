"""Origins of web pages: ASGI layers that refuse foreign ones over MCP and tell browsers whose pages may read the answer."""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sympozium_http.refusal import Refusal
from sympozium_webproxy.instance_cache import InstanceCache

GUARDED = ("/mcp", "/sse", "/message")
"""Paths of MCP, whose specification demands the check of Origin; paths below them are included."""

_OF_THE_WEB = ("http", "https")
"""Schemes whose origins are allowed one by one, because anybody can serve pages under them."""
_EXPOSED = (
    "www-authenticate",
    "mcp-session-id",
    "x-request-id",
    "x-sympozium-run",
    "x-sympozium-idempotency-expires",
    "x-sympozium-ignored",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "retry-after",
    "openai-processing-ms",
)
"""Headers of an answer that pages may read."""


class BrowserGuard:
    """Layer that refuses requests over MCP from a foreign page or to a foreign host, because of DNS rebinding."""

    def __init__(self, app: ASGIApp, cache: InstanceCache, respond: Callable[[Refusal], Response]) -> None:
        self._app = app
        self._cache = cache
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on to the application."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        answer = self._app if refusal is None else self._respond(refusal)
        await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        if not any(f"{scope['path']}/".startswith(f"{path}/") for path in GUARDED):
            return None
        headers = Headers(scope=scope)
        origin, host = headers.get("origin"), headers.get("host", "").lower()
        hosts = _hosts(self._cache)
        if hosts and host not in hosts:
            return Refusal(421, "host_not_allowed", "This endpoint is not served by this host name.")
        if origin is not None and not _allows(_origins(self._cache), origin):
            return Refusal(403, "origin_not_allowed", "Pages of this origin may not call this endpoint.")
        return None


class CrossOrigin(CORSMiddleware):
    """CORS for the origins that the instance currently allows. Keys come in a header, so no credentials are allowed."""

    def __init__(self, app: ASGIApp, cache: InstanceCache) -> None:
        super().__init__(
            app,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=_EXPOSED,
        )
        self._cache = cache

    def is_allowed_origin(self, origin: str) -> bool:
        """Return True if pages of this origin may read answers."""
        return _allows(_origins(self._cache), origin)


def _allows(allowed: set[str], origin: str) -> bool:
    """Return True for an allowed origin, and for any of an app's scheme, such as ``vscode-webview``, that is allowed whole."""
    scheme = origin.partition("://")[0]
    return origin in allowed or (scheme not in _OF_THE_WEB and f"{scheme}://*" in allowed)


def _origins(cache: InstanceCache) -> set[str]:
    """Return the origins that the instance allows and its own; never the request's Host, which a rebinding page has chosen."""
    allowed = cache.instance.spec.web_endpoint.allowed_origins if cache.instance else []
    return {*allowed, _own(cache)} - {""}


def _hosts(cache: InstanceCache) -> set[str]:
    """Return the hosts that the instance allows and its own; an empty set allows every host."""
    allowed = cache.instance.spec.web_endpoint.allowed_hosts if cache.instance else []
    return {*allowed, urlsplit(_own(cache)).netloc} if allowed else set()


def _own(cache: InstanceCache) -> str:
    """Return the origin of the instance's URL, empty if it has none."""
    status = cache.instance.status.web_endpoint if cache.instance else None
    return status.url or "" if status else ""
