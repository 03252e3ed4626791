"""Refusals of the agent platform API, in one shape: ``{"error": {message, type, param, code}}``."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_domain.tenant_bounds import TooMany
from sympozium_http.refusal import Refusal

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_RETRY_SECONDS = 1
_DATABASE_RETRY_SECONDS = 5
_MOST_FAULTS = 10
"""Faults of a request that a refusal names."""
_LONGEST_PATH = 200
"""Characters of a field's name that a refusal repeats: callers choose those of unknown fields."""


class Error(BaseModel):
    """A refusal."""

    message: str
    """Sentence that says what would be right."""
    type: str
    """Kind of refusal, which follows from the status."""
    param: str | None
    """Field, parameter or header at fault, if it is one."""
    code: str
    """Stable word for programs."""


class ErrorAnswer(BaseModel):
    """Body of every refusal."""

    error: Error = Field(description="The refusal.")


REFUSALS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer}, "5XX": {"model": ErrorAnswer}}
"""Answers that every route may give, for OpenAPI."""


def render(refusal: Refusal) -> JSONResponse:
    """Return the answer for a refusal."""
    body = error_body(refusal.status, refusal.message, refusal.code, refusal.param)
    return JSONResponse(body, status_code=refusal.status, headers=refusal.headers)


def error_body(status: int, message: str, code: str, param: str | None = None) -> dict[str, Any]:
    """Return the body of a refusal."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refused(
    status: int, code: str, message: str, param: str | None = None, *, headers: Mapping[str, str] | None = None
) -> Refusal:
    """Return a refusal; ``param`` is the field at fault."""
    return Refusal(status, code, message, param=param, headers=headers)


def unauthorized(message: str) -> Refusal:
    """Return 401: the request has no valid token, or no valid key."""
    return refused(401, "invalid_token", message, headers={"WWW-Authenticate": "Bearer"})


def forbidden(message: str, param: str | None = None) -> Refusal:
    """Return 403: the caller lacks a scope."""
    return refused(403, "insufficient_scope", message, param)


def not_found(noun: str, wanted: str) -> Refusal:
    """Return 404: the caller's tenant has no such object."""
    return refused(404, "not_found", f"There is no {noun} {wanted}.")


def too_many_objects(error: TooMany) -> Refusal:
    """Return 409: the tenant has as many objects as its callers may make."""
    return refused(409, "too_many_objects", str(error))


def bad_field(field: str, fault: str) -> Refusal:
    """Return 422: one field, parameter or header is wrong."""
    return refused(422, "invalid_value", f"{field}: {fault}", field)


def bad_values(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return 422 for the faults that pydantic found; ``param`` is the first of them."""
    named = [(_path(error["loc"]), _fault(error)) for error in errors[:_MOST_FAULTS]]
    faults = [f"{name}: {fault}" if name else fault for name, fault in named]
    if len(errors) > _MOST_FAULTS:
        faults.append(f"and {len(errors) - _MOST_FAULTS} more")
    return refused(422, "invalid_value", "; ".join(faults), named[0][0] or None)


def many_faults(number: int) -> Refusal:
    """Return 422 for a body with so many faults that naming them takes more memory than the body itself."""
    return refused(422, "invalid_value", f"The body has {number} wrong or unknown fields.")


def _path(parts: Sequence[str | int]) -> str:
    """Return the path of a field, such as ``scopes[0]``. FastAPI begins it with the part of the request."""
    inner = parts[1:] if parts and parts[0] in ("path", "query", "header") else parts
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inner).removeprefix(".")
    return path[:_LONGEST_PATH]


def _fault(error: Mapping[str, Any]) -> str:
    return "is not known" if error["type"] == "extra_forbidden" else str(error["msg"])


def not_judged(reason: str, retry_after: int) -> Refusal:
    """Return 503: the caller's credentials may be valid, and cannot be verified now."""
    return Refusal(503, "not_verified", f"The credentials cannot be verified now: {reason}.", retry_after=retry_after)


def unavailable(code: str, message: str, *, retry_after: int = _DATABASE_RETRY_SECONDS) -> Refusal:
    """Return 503: a part that the request needs is away."""
    return Refusal(503, code, message, retry_after=retry_after)


def of_outage(error: ApiUnavailable) -> Refusal:
    """Return 503: the API server cannot be reached or cannot answer now."""
    cause = error.__cause__
    why = cause.message if isinstance(cause, ApiError) else "it cannot be reached"
    return unavailable("api_server_unavailable", f"The API server cannot answer: {why}", retry_after=_RETRY_SECONDS)


def of_api_error(error: ApiError) -> Refusal:
    """Return the refusal of the API server, in its own words. What it finds wrong in an object is a wrong field of the caller's."""
    status = 422 if error.status in (400, 422) else error.status
    field = next((cause.field for cause in error.causes if cause.field), None)
    return refused(status, "refused", error.message, field)
