"""The console's ASGI application, made from its parts."""

from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_console import errors
from sympozium_console.context import Context
from sympozium_console.errors import Refusal
from sympozium_console.routes import health, instances, runs, skills
from sympozium_http import request_state
from sympozium_http.access_log import AccessLog
from sympozium_http.tracing import Tracing


def create_app(context: Context) -> FastAPI:
    """The application of port 8080."""
    app = FastAPI(title="Sympozium console", version=version("sympozium"), docs_url=None, redoc_url=None)
    app.state.context = context
    for routes in (instances, runs, skills, health):
        app.include_router(routes.router)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(ApiUnavailable, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(AccessLog, metrics=context.metrics, tracing=Tracing())
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    refusal = _refusal(request, error)
    return JSONResponse(refusal.body, status_code=refusal.status, headers=refusal.headers)


def _refusal(request: Request, error: Exception) -> Refusal:
    match error:
        case Refusal():
            return error
        case ApiError():
            return errors.of_api(error)
        case ApiUnavailable():
            return errors.of_absence(error)
        case RequestValidationError():
            return errors.bad_parameters(error.errors())
        case HTTPException():  # of the router: 404 and 405
            message = f"{error.detail}: {request.method} {request.url.path}"
            reason = "NotFound" if error.status_code == 404 else "MethodNotAllowed"
            return Refusal(error.status_code, reason, message, headers=error.headers)
    raise error


async def _bug(request: Request, _: Exception) -> JSONResponse:
    """500: what nobody foresaw. The server logs the traceback; the caller gets the request's id to quote."""
    request_id = request_state.of(request).request_id
    refusal = Refusal(500, "InternalError", f"Internal error; quote request id {request_id}.")
    headers = {"x-request-id": request_id}  # this handler runs outside of the layer that adds it
    return JSONResponse(refusal.body, status_code=500, headers=headers)
