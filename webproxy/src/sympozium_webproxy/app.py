"""The web-proxy's ASGI application of port 8080."""

from collections.abc import Callable
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from sympozium_http import request_state
from sympozium_http.access_log import AccessLog
from sympozium_http.byte_budget import HeldBytes
from sympozium_http.internal_error import InternalErrorAnswer
from sympozium_http.lenient_routing import HeadAsGet, PlainPaths
from sympozium_http.refusal import Refusal
from sympozium_openai import bodies, errors
from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.origins import BrowserGuard, CrossOrigin
from sympozium_webproxy.routes import health, oauth, openapi, unknown_url
from sympozium_webproxy.routes.mcp import forwarding, handlers, legacy_sse, message, streamable
from sympozium_webproxy.routes.openai import chat, completions, embeddings, models, responses

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own would export addresses, headers and callers' content; ours is ``sympozium_http.spans``."""


def create_app(context: WebProxyContext, *, mcp: handlers.CurrentServer | None = None) -> FastAPI:
    """Return the application of port 8080; ``mcp`` replaces the MCP server of the instance's own tools."""
    app = FastAPI(
        title="Sympozium web endpoint",
        version=version("sympozium"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    app.state.context = context
    app.state.mcp = mcp or handlers.current_server(context.instance_cache)
    app.state.mcp_streams = legacy_sse.Streams()
    for routes in (chat, responses, completions, embeddings, models, oauth, streamable, legacy_sse, forwarding, health):
        app.include_router(routes.router)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(message.RefusedMessage, _refused_message)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _query_error)
    app.add_middleware(BrowserGuard, cache=context.instance_cache, respond=_openai)
    app.add_middleware(CrossOrigin, cache=context.instance_cache)
    app.add_middleware(InternalErrorAnswer, answer=_internal_error)
    app.add_middleware(HeldBytes, budget=context.budget)
    app.add_middleware(HeadAsGet)
    app.add_middleware(AccessLog, metrics=context.metrics, tracing=context.tracing)
    app.add_middleware(PlainPaths)
    return app


def _openai(refusal: Refusal) -> Response:
    return JSONResponse(errors.render(refusal), refusal.status, refusal.headers)


_RESPONDS: dict[type, Callable[[Refusal], Response]] = {message.McpRoute: message.refused}
"""The functions that answer refusals by the class of the route; the routes of no other class speak OpenAI's API."""


async def _refused(request: Request, error: Exception) -> Response:
    """Answer a refusal in the protocol of the route that raised it."""
    assert isinstance(error, Refusal)  # noqa: S101 - what this handler is registered for
    return _RESPONDS.get(type(request.scope.get("route")), _openai)(error)


async def _refused_message(_: Request, error: Exception) -> Response:
    """Answer a JSON-RPC message that MCP's own rules refuse."""
    assert isinstance(error, message.RefusedMessage)  # noqa: S101 - what this handler is registered for
    return message.respond(error.response)


async def _http_error(request: Request, _: Exception) -> Response:
    """Answer 404 and 405 of the router."""
    return _openai(unknown_url.refusal(request))


async def _query_error(_: Request, error: Exception) -> Response:
    """Answer 400 to a wrong query parameter; the protocols check bodies themselves."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what this handler is registered for
    first = error.errors()[0]
    return _openai(bodies.invalid(str(first["loc"][-1]), first["msg"]))


def _internal_error(request: Request) -> Response:
    """Answer 500 to a bug: the server logs the traceback, and the caller gets the request's id to quote."""
    text = f"Internal error; quote request id {request_state.of(request).request_id}."
    return _openai(Refusal(500, "internal_error", text))
