"""Errors of the agent API as responses to the agent's pod."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_runs import pod_access_log
from sympozium_runs.cluster_tokens import Forbidden, Unverified
from sympozium_runs.stored_end import OtherPodsRun


async def refuse(request: Request, error: Exception) -> Response:
    """Return an error as a status that tells the pod whether to try again (503) or to give up."""
    match error:
        case HTTPException():
            status, message = error.status_code, error.detail
        case OtherPodsRun():
            status, message = 410, "the run is another pod's"
        case Forbidden():
            status, message = 401, str(error)
        case ApiError():
            status, message = (404, "no such run or instance") if error.not_found else (502, error.message)
        case _:
            status, message = 503, str(error)
    reason = error.reason if isinstance(error, ApiError) else message  # an ApiError's message may quote content
    pod_access_log.state_of(request).reason = reason
    return JSONResponse({"error": message}, status_code=status)


def internal_error(_: Request) -> Response:
    """Return a failure of this process as a status, without its reason."""
    return JSONResponse({"error": "internal error"}, status_code=500)


HANDLERS: dict[Any, Any] = dict.fromkeys(
    (HTTPException, OtherPodsRun, Forbidden, Unverified, ApiError, ApiUnavailable), refuse
)
"""Handlers of the errors that the routes of the agent API raise."""
