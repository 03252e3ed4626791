"""The ASGI application of the agent platform API."""

from functools import partial
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_domain.audit.audited_answers import AuditedAnswers
from sympozium_http import forwarded, request_state
from sympozium_http.access_log import AccessLog
from sympozium_http.byte_budget import HeldBytes
from sympozium_http.internal_error import InternalErrorAnswer
from sympozium_http.lenient_routing import HeadAsGet, PlainPaths
from sympozium_http.refusal import Refusal
from sympozium_http.route_methods import wrong_method
from sympozium_http.tracing import Tracing
from sympozium_platform import errors, platform_context, reference_page
from sympozium_platform.audited import refused_entry
from sympozium_platform.openapi import with_body_models
from sympozium_platform.platform_context import PlatformContext
from sympozium_platform.routes import agents, api_keys, audit, auth, bindings, health, runs, tools

_OF_NOBODY = frozenset({400, 401, 403, 413, 422})
"""Refusals that, while the caller is not known, are those of failed sign-ins."""
_ROUTES = (health, auth, api_keys, audit, agents, tools, bindings, runs)
"""Modules with the routes."""


def create_app(context: PlatformContext) -> FastAPI:
    """Return the application, port 8000."""
    app = FastAPI(
        title="Agent platform API", version=version("sympozium"), docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.context = context
    for routes in _ROUTES:
        app.include_router(routes.router, responses=errors.REFUSALS)
    app.include_router(reference_page.router)
    for error in (Refusal, ApiError, ApiUnavailable, RequestValidationError, HTTPException):
        app.add_exception_handler(error, _handle_refusal)
    app.add_exception_handler(DatabaseUnavailable, _handle_database_outage)
    app.add_middleware(InternalErrorAnswer, answer=_internal_error)
    app.add_middleware(AuditedAnswers, audit=context.audit, refused=refused_entry)
    app.add_middleware(HeldBytes, budget=context.budget)
    app.add_middleware(HeadAsGet)
    app.add_middleware(AccessLog, metrics=context.metrics, tracing=Tracing())
    app.add_middleware(PlainPaths)
    app.openapi = partial(with_body_models, app.openapi)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return app


async def _handle_refusal(request: Request, error: Exception) -> Response:
    refusal = _refusal(request, error)
    if refusal.status in _OF_NOBODY and request_state.of(request).key_id is None:
        refusal = await _over_limit(request) or refusal
    return errors.render(refusal)


async def _over_limit(request: Request) -> Refusal | None:
    """Count a request without a valid token or key, and return the refusal of an address that has sent too many."""
    context = platform_context.of_request(request)
    try:
        await context.limits.take_failure(forwarded.caller_address(request, context.trusted_proxies))
    except Refusal as refusal:
        return refusal
    return None


async def _handle_database_outage(request: Request, error: Exception) -> Response:
    platform_context.of_request(request).database_errors.inc()
    return errors.render(errors.unavailable("database_unavailable", f"The archive cannot answer: {error}"))


def _refusal(request: Request, error: Exception) -> Refusal:
    match error:
        case Refusal():
            return error
        case ApiError():
            return errors.of_api_error(error)
        case ApiUnavailable():
            return errors.of_outage(error)
        case RequestValidationError():
            return errors.bad_values(error.errors())
        case HTTPException(status_code=405):
            message, headers = wrong_method(request.method, request.url.path, request.app.routes)
            return errors.refused(405, "method_not_allowed", message, headers=headers)
        case HTTPException(status_code=404):
            message = f"There is no route {request.url.path}. GET /openapi.json lists the routes."
            return errors.refused(404, "unknown_route", message)
    raise error


def _internal_error(request: Request) -> Response:
    """Return 500 with the request's id for the caller to quote; the server logs the traceback."""
    request_id = request_state.of(request).request_id
    return errors.render(errors.refused(500, "internal_error", f"Internal error; quote request id {request_id}."))
