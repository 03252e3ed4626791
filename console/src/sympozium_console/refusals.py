"""Refusals of the console: their constructors, and their one shape ``{"error": {"reason", "message", "fields"}}``.

A refusal by Kubernetes keeps the reason and the message of Kubernetes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi.responses import JSONResponse

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_http.refusal import Refusal

_STRICT = "strict decoding error: "
_UNKNOWN_FIELD = re.compile(r'(unknown field) "([^"]+)"')
_ROOT = "<nil>"
_RETRY_SECONDS = 1

Field = tuple[str, str]
"""Path of a field or name of a parameter, and the fault in it."""


class InvalidFields(Refusal):
    """A refusal that lists the fields at fault, each with a message of its own."""

    def __init__(self, status: int, code: str, message: str, fields: Iterable[Field]) -> None:
        super().__init__(status, code, message)
        self.fields = tuple(fields)


def render(refusal: Refusal) -> JSONResponse:
    """Return the console's answer for a refusal."""
    if isinstance(refusal, InvalidFields):
        fields: Sequence[Field] = refusal.fields
    else:
        fields = [(refusal.param, refusal.message)] if refusal.param else []
    error = {
        "reason": refusal.code,
        "message": refusal.message,
        "fields": [{"field": field, "message": fault} for field, fault in fields],
    }
    return JSONResponse({"error": error}, status_code=refusal.status, headers=refusal.headers)


def unauthorized() -> Refusal:
    """Return 401: the request has no valid token."""
    message = "Send a token of this console as 'Authorization: Bearer <token>'."
    return Refusal(401, "Unauthorized", message, headers={"WWW-Authenticate": "Bearer"})


def bad_field(field: str, fault: str) -> Refusal:
    """Return 400: one field, parameter or header is wrong."""
    return InvalidFields(400, "BadRequest", f"{field}: {fault}", [(field, fault)])


def bad_parameters(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return 400 for the faults that FastAPI found in the path and the query."""
    fields = [(str(error["loc"][-1]), _fault(error)) for error in errors]
    return InvalidFields(400, "BadRequest", "; ".join(f"{name}: {fault}" for name, fault in fields), fields)


def _fault(error: Mapping[str, Any]) -> str:
    return "unknown parameter" if error["type"] == "extra_forbidden" else str(error["msg"])


def precondition_failed(message: str) -> Refusal:
    """Return 412: the object does not meet If-Match or If-None-Match."""
    return Refusal(412, "PreconditionFailed", message)


def conflict(message: str, *, reason: str = "Conflict") -> Refusal:
    """Return 409: the object's state does not allow the request."""
    return Refusal(409, reason, message)


def of_api_error(error: ApiError, place: str = "") -> Refusal:
    """Return the refusal of the API server in its own words, followed by the place where it looked."""
    _, strict, unknown = error.message.partition(_STRICT)
    if strict:  # the API server's 422 for a patch quotes the whole object before it names the field
        fields = [(path, fault) for fault, path in _UNKNOWN_FIELD.findall(unknown)]
        return InvalidFields(400, "BadRequest", unknown, fields)
    fields = [(cause.field, cause.message) for cause in error.causes if cause.field not in ("", _ROOT)]
    return InvalidFields(error.status, error.reason or "Refused", error.message + place, fields)


def of_outage(error: ApiUnavailable) -> Refusal:
    """Return 503: the API server cannot be reached or cannot answer now."""
    cause = error.__cause__
    why = cause.message if isinstance(cause, ApiError) else "it cannot be reached"
    message = f"The API server cannot answer: {why}"
    return Refusal(503, "ServiceUnavailable", message, retry_after=_RETRY_SECONDS)
