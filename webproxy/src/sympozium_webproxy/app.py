"""The web-proxy's ASGI application, made from its parts."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from sympozium_http import request_state
from sympozium_http.access_log import AccessLog
from sympozium_http.internal_error import InternalErrorAnswer
from sympozium_webproxy.browsers import BrowserGuard, CrossOrigin
from sympozium_webproxy.context import Context
from sympozium_webproxy.protocol.openai import bodies
from sympozium_webproxy.protocol.openai.errors import OpenAIError
from sympozium_webproxy.routes import chat, completions, embeddings, health, models, oauth, responses
from sympozium_webproxy.routes.mcp import handlers, sse, streamable

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own would export addresses, headers and what callers sent; ours is ``sympozium_http.spans``."""


def create_app(context: Context, *, mcp: handlers.CurrentServer | None = None) -> FastAPI:
    """The application of port 8080; ``mcp`` is what MCP clients find, in the place of the instance's own tools."""
    app = FastAPI(title="Sympozium web endpoint", docs_url=None, redoc_url=None, telemetry=_NO_TELEMETRY)
    app.state.context = context
    app.state.mcp = mcp or handlers.current_server(context.endpoint)
    app.state.mcp_streams = sse.Streams()
    for routes in (chat, responses, completions, embeddings, models, oauth, streamable, sse, health):
        app.include_router(routes.router)
    app.add_exception_handler(OpenAIError, _openai_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _query_error)
    app.add_middleware(BrowserGuard, endpoint=context.endpoint)
    app.add_middleware(CrossOrigin, endpoint=context.endpoint)
    app.add_middleware(InternalErrorAnswer, answer=_internal_error)
    app.add_middleware(AccessLog, metrics=context.metrics, tracing=context.tracing)
    return app


async def _openai_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OpenAIError)  # noqa: S101 - what this handler is registered for
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """404 and 405 of the router, in OpenAI's shape."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what this handler is registered for
    message = f"{error.detail}: {request.method} {request.url.path}"
    return await _openai_error(request, OpenAIError(error.status_code, message, code="unknown_url"))


async def _query_error(request: Request, error: Exception) -> JSONResponse:
    """400: a query parameter that is wrong. Bodies are checked by the protocols themselves."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what this handler is registered for
    first = error.errors()[0]
    return await _openai_error(request, bodies.invalid(str(first["loc"][-1]), first["msg"]))


def _internal_error(request: Request) -> JSONResponse:
    """500: the server logs the traceback, and the caller gets the request's id to quote."""
    message = f"Internal error; quote request id {request_state.of(request).request_id}."
    error = OpenAIError(500, message, type="server_error", code="internal_error")
    return JSONResponse(error.body, status_code=error.status)
