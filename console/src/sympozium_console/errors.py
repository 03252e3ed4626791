"""Refusals: ``{"error": {"reason", "message", "fields"}}`` under the status that fits. Kubernetes' own keep its reason and message."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sympozium_api.client import ApiError, ApiUnavailable

_STRICT = "strict decoding error: "
_UNKNOWN_FIELD = re.compile(r'(unknown field) "([^"]+)"')
_ROOT = "<nil>"
_RETRY = {"Retry-After": "1"}

Field = tuple[str, str]
"""Path of a field, or name of a parameter, and what is wrong with it."""


class Refusal(Exception):
    """An answer that is an error. ``reason`` is a stable word for programs."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        fields: Iterable[Field] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        named = [{"field": field, "message": wrong} for field, wrong in fields]
        self.body = {"error": {"reason": reason, "message": message, "fields": named}}


def unauthorized() -> Refusal:
    """401: no token, or none that is valid."""
    message = "Send a token of this console as 'Authorization: Bearer <token>'."
    return Refusal(401, "Unauthorized", message, headers={"WWW-Authenticate": "Bearer"})


def bad_field(field: str, wrong: str) -> Refusal:
    """400: one field, parameter or header is wrong."""
    return Refusal(400, "BadRequest", f"{field}: {wrong}", fields=[(field, wrong)])


def bad_parameters(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """400: what FastAPI found wrong with the path and the query."""
    fields = [(str(error["loc"][-1]), _told(error)) for error in errors]
    return Refusal(400, "BadRequest", "; ".join(f"{name}: {wrong}" for name, wrong in fields), fields=fields)


def _told(error: Mapping[str, Any]) -> str:
    return "unknown parameter" if error["type"] == "extra_forbidden" else str(error["msg"])


def precondition_failed(message: str) -> Refusal:
    """412: the object is not the version that If-Match asks for, or is there against If-None-Match."""
    return Refusal(412, "PreconditionFailed", message)


def conflict(message: str, *, reason: str = "Conflict") -> Refusal:
    """409: the object is not in a state in which this can be done."""
    return Refusal(409, reason, message)


def of_api(error: ApiError) -> Refusal:
    """What Kubernetes refused, in its words."""
    _, strict, unknown = error.message.partition(_STRICT)
    if strict:  # of a patch it is a 422 that quotes the whole object before it comes to the point
        fields = [(path, wrong) for wrong, path in _UNKNOWN_FIELD.findall(unknown)]
        return Refusal(400, "BadRequest", unknown, fields=fields)
    fields = [(cause.field, cause.message) for cause in error.causes if cause.field not in ("", _ROOT)]
    return Refusal(error.status, error.reason or "Refused", error.message, fields=fields)


def of_absence(error: ApiUnavailable) -> Refusal:
    """503: the API server cannot be reached, or cannot answer now."""
    refusal = error.__cause__
    why = refusal.message if isinstance(refusal, ApiError) else "it cannot be reached"
    return Refusal(503, "ServiceUnavailable", f"The API server cannot answer: {why}", headers=_RETRY)
