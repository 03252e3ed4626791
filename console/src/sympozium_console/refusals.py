"""Refusals of the console: their constructors, and their one shape ``{"error": {reason, message, fields, code, details}}``.

A refusal by Kubernetes keeps the reason and the message of Kubernetes. ``code`` follows the status alone.
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
_DATABASE_RETRY_SECONDS = 5

CODES = {
    400: "INVALID_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    410: "EXPIRED",
    412: "PRECONDITION_FAILED",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "INVALID_REQUEST",
    429: "RATE_LIMITED",
    431: "TOO_LARGE",
    500: "INTERNAL_ERROR",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}
"""Codes by status. Any other status below 500 has the code of 400, and from 500 on that of 500."""

MOST_FIELDS = 50
"""Fields at fault that a refusal names: a body may have 100,000 unknown ones."""
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
    body = error_body(refusal.status, refusal.code, refusal.message, fields)
    return JSONResponse(body, status_code=refusal.status, headers=refusal.headers)


def error_body(status: int, reason: str, message: str, fields: Sequence[Field] = ()) -> dict[str, Any]:
    """Return the body of a refusal; ``details`` is the first field at fault, or None if none is known."""
    error = {
        "reason": reason,
        "message": message,
        "fields": [{"field": field, "message": fault} for field, fault in fields],
        "code": CODES.get(status, CODES[400 if status < 500 else 500]),
        "details": {"field": fields[0][0], "reason": fields[0][1]} if fields else None,
    }
    return {"error": error}


def unauthorized(reason: str = "") -> Refusal:
    """Return 401: the request has no valid token. ``reason`` says why a token that could be read is refused."""
    message = "Send a valid token as 'Authorization: Bearer <token>': the request has none, or one that this console does not know."
    challenge = 'Bearer error="invalid_token"' if reason else "Bearer"
    return Refusal(401, "Unauthorized", reason or message, headers={"WWW-Authenticate": challenge})


def not_judged(reason: str, retry_after: int) -> Refusal:
    """Return 503: the caller's token may be valid, and cannot be verified now."""
    return Refusal(503, "NotVerified", f"The token cannot be verified now: {reason}", retry_after=retry_after)


def forbidden(message: str) -> Refusal:
    """Return 403: the caller lacks a right."""
    return Refusal(403, "Forbidden", message)


def too_many(message: str, retry_after: int, headers: Mapping[str, str]) -> Refusal:
    """Return 429: a limit of the caller is reached."""
    return Refusal(429, "TooManyRequests", message, headers=headers, retry_after=retry_after)


def api_keys_off(message: str) -> Refusal:
    """Return 503: the installation has no pepper yet."""
    return Refusal(503, "ApiKeysOff", message, retry_after=_DATABASE_RETRY_SECONDS)


def more_than_held(field: str, message: str) -> Refusal:
    """Return 403: the key of the caller cannot make a key that may do more."""
    return InvalidFields(403, "Forbidden", f"{field}: {message}", [(field, message)])


def bad_field(field: str, fault: str) -> Refusal:
    """Return 400: one field, parameter or header is wrong."""
    return InvalidFields(400, "BadRequest", f"{field}: {fault}", [(field, fault)])


def bad_parameters(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return 400 for the faults that FastAPI found in the path and the query."""
    fields = [(str(error["loc"][-1]), _fault(error)) for error in errors[:MOST_FIELDS]]
    return InvalidFields(400, "BadRequest", "; ".join(f"{name}: {fault}" for name, fault in fields), fields)


def bad_fields(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return 400 for the faults that a model found in a body; each is named by its path, such as ``rateLimit.burstSize``."""
    fields = [(_path(error["loc"]), _fault(error, "unknown field")) for error in errors[:MOST_FIELDS]]
    return InvalidFields(400, "BadRequest", "; ".join(f"{name}: {fault}" for name, fault in fields), fields)


def _path(parts: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _fault(error: Mapping[str, Any], unknown: str = "unknown parameter") -> str:
    return unknown if error["type"] == "extra_forbidden" else str(error["msg"])


def precondition_failed(message: str) -> Refusal:
    """Return 412: the object does not meet If-Match or If-None-Match."""
    return Refusal(412, "PreconditionFailed", message)


def conflict(message: str, *, reason: str = "Conflict") -> Refusal:
    """Return 409: the object's state does not allow the request."""
    return Refusal(409, reason, message)


def overloaded() -> Refusal:
    """Return 503: the process holds as many bytes of requests and answers as it may."""
    message = "This replica holds as many bytes of requests and answers as it may."
    return Refusal(503, "Overloaded", message, retry_after=_RETRY_SECONDS)


def audit_unavailable(reason: str) -> Refusal:
    """Return 503: the change was not made, because the audit cannot be written."""
    message = f"Nothing was changed, because the audit cannot be written: {reason}"
    return Refusal(503, "AuditUnavailable", message, retry_after=_DATABASE_RETRY_SECONDS)


def database_unavailable(reason: str) -> Refusal:
    """Return 503: the archive's database does not answer."""
    return Refusal(
        503, "DatabaseUnavailable", f"The archive cannot answer: {reason}", retry_after=_DATABASE_RETRY_SECONDS
    )


def archive_disabled() -> Refusal:
    """Return 404: the installation keeps no history."""
    message = "This installation keeps no history and no audit. The chart's value archive.enabled switches them on."
    return Refusal(404, "ArchiveDisabled", message)


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
