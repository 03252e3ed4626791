"""The console's ASGI application."""

from functools import partial
from importlib.metadata import version

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_console import console_context, refusals
from sympozium_console.console_context import ConsoleContext
from sympozium_console.pages import issuer_sign_in, page_table, sign_in, static_files
from sympozium_console.pages.error_pages import is_page, refusal_page
from sympozium_console.pages.page_headers import PageHeaders
from sympozium_console.routes import (
    api_keys,
    audit,
    changes,
    config,
    console_facts,
    history,
    instance_events,
    instances,
    new_runs,
    probes,
    run_logs,
    runs,
    skill_packs,
    usage,
    web_endpoints,
)
from sympozium_console.routes.audited import audit_change, refused_entry
from sympozium_console.routes.limited import limit_caller, limit_failures
from sympozium_console.routes.params import ObjectQuery
from sympozium_console.yaml_bodies import YamlBodies, described_in_yaml
from sympozium_domain.audit.audited_answers import AuditedAnswers
from sympozium_http import request_state
from sympozium_http.access_log import AccessLog
from sympozium_http.byte_budget import HeldBytes
from sympozium_http.internal_error import InternalErrorAnswer
from sympozium_http.lenient_routing import HeadAsGet, PlainPaths
from sympozium_http.refusal import Refusal
from sympozium_http.route_methods import wrong_method
from sympozium_http.tracing import Tracing

_ROUTES = (
    instances,
    instance_events,
    web_endpoints,
    runs,
    run_logs,
    new_runs,
    skill_packs,
    changes,
    usage,
    history,
    audit,
    api_keys,
    config,
    console_facts,
)
"""Modules with the routes of /api/v1."""


def create_app(context: ConsoleContext) -> FastAPI:
    """Return the application of the management API, port 8080."""
    app = FastAPI(
        title="Sympozium console", version=version("sympozium"), docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.context = context
    app.include_router(probes.router)
    for routes in _ROUTES:
        app.include_router(routes.router, dependencies=[Depends(limit_caller), Depends(audit_change)])
    if context.settings.pages:
        _include_pages(app)
    for error in (Refusal, ApiError, ApiUnavailable, RequestValidationError, HTTPException):
        app.add_exception_handler(error, _handle_refusal)
    app.add_exception_handler(DatabaseUnavailable, _handle_database_outage)
    app.add_middleware(InternalErrorAnswer, answer=_internal_error)
    app.add_middleware(YamlBodies, limit=context.settings.max_body_bytes)
    app.add_middleware(AuditedAnswers, audit=context.audit, refused=refused_entry)
    app.add_middleware(HeldBytes, budget=context.instance_runs.budget)
    app.add_middleware(PageHeaders)
    app.add_middleware(HeadAsGet)
    app.add_middleware(AccessLog, metrics=context.metrics, tracing=Tracing(), unlogged=("/static/",))
    app.add_middleware(PlainPaths)
    app.openapi = partial(described_in_yaml, app.openapi)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return app


def _include_pages(app: FastAPI) -> None:
    app.include_router(static_files.router)
    app.include_router(sign_in.router)
    app.include_router(issuer_sign_in.router)
    for page in page_table.PAGES:
        app.include_router(page.router, dependencies=[Depends(page_table.authorize_page), Depends(limit_caller)])


def create_probes(context: ConsoleContext) -> FastAPI:
    """Return the application of the probes alone, for a port that is there whichever surfaces are on."""
    app = FastAPI(openapi_url=None)
    app.state.context = context
    app.include_router(probes.router)
    return app


async def _handle_refusal(request: Request, error: Exception) -> Response:
    refusal = _refusal(request, error)
    if refusal.status == 401 and not _is_without_session(request):
        refusal = await _over_limit(request) or refusal
    return _answer(request, refusal)


def _is_without_session(request: Request) -> bool:
    """Return True for a browser that shows a page without a session, or with one that has ended: it is no attempt to sign in."""
    return "authorization" not in request.headers and request.app.state.context.settings.pages and is_page(request)


def _answer(request: Request, refusal: Refusal) -> Response:
    """Return a refusal as a page to a person, and as JSON to a program."""
    if request.app.state.context.settings.pages and is_page(request):
        return refusal_page(request, refusal)
    return refusals.render(refusal)


async def _over_limit(request: Request) -> Refusal | None:
    """Count a request without a valid token, and return the refusal of an address that has sent too many."""
    try:
        await limit_failures(request)
    except Refusal as refusal:
        return refusal
    return None


async def _handle_database_outage(request: Request, error: Exception) -> Response:
    console_context.of_request(request).metrics.database_errors.inc()
    return _answer(request, refusals.database_unavailable(str(error)))


def _refusal(request: Request, error: Exception) -> Refusal:
    match error:
        case Refusal():
            return error
        case ApiError():
            return refusals.of_api_error(error, _place(request) if error.not_found else "")
        case ApiUnavailable():
            return refusals.of_outage(error)
        case RequestValidationError():
            return refusals.bad_parameters(error.errors())
        case HTTPException(status_code=405):
            message, headers = wrong_method(request.method, request.url.path, request.app.routes)
            return Refusal(405, "MethodNotAllowed", message, headers=headers)
        case HTTPException(status_code=404):
            message = f"There is no route {request.url.path}. GET /openapi.json lists the routes."
            return Refusal(404, "NotFound", message)
    raise error


def _place(request: Request) -> str:
    """Return the namespace in which the request looked for one object, as a part of a sentence."""
    if "name" not in request.path_params:
        return ""
    if page := request.path_params.get("namespace"):
        return f" in namespace {page}"
    namespace = request.query_params.get("namespace", ObjectQuery().namespace)
    return f" in namespace {namespace}; the parameter namespace selects another one"


def _internal_error(request: Request) -> Response:
    """Return 500 with the request's id for the caller to quote; the server logs the traceback."""
    request_id = request_state.of(request).request_id
    return _answer(request, Refusal(500, "InternalError", f"Internal error; quote request id {request_id}."))
