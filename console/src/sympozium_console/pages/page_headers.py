"""Headers of every answer at the console's port: what a browser may do with it."""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_console.routes import session_cookie

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sympozium"
)
"""No inline script or style, no eval, nothing from elsewhere, without exceptions. Text becomes HTML in static/js/trusted_html.js alone."""

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers that an answer gets unless it has its own, such as the cache's for static files."""
_HTTPS_ONLY = ("Strict-Transport-Security", "max-age=31536000")


class PageHeaders:
    """ASGI layer that adds the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        https_only = [_HTTPS_ONLY] if session_cookie.is_secure(Request(scope)) else []

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in [*HEADERS.items(), *https_only]:
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
