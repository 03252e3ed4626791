"""Errors of model servers, in each vendor's form. Pure; standard library only, because the agent imports this module.

Forms: OpenAI's ``{"error": {"message", "type", "param", "code"}}``, Anthropic's ``{"type": "error", "error": {...}}``, Google's
list ``[{"error": {"code", "message", "status", "details"}}]``, FastAPI's ``{"detail"}``, MiniMax's ``{"base_resp": {"status_code",
"status_msg"}}``, bare objects with a ``message``, text.
"""

from __future__ import annotations

import json

from sympozium_api.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MAX_REFUSAL_BYTES = 65536
"""Bytes of a model's error response that are read."""
MAX_WORD = 256
"""Longest code, type or param, in characters."""
MAX_RETRY_SECONDS = 86400
"""Longest wait that is passed on; a longer one is left out."""
_MIN_SECRET = 8
"""Shortest value of a header, in characters, that is taken for a secret; shorter ones are parts of common words."""

_MESSAGES = ("message", "detail", "error_description", "error_msg", "msg", "Message", "title", "reason")
_CODES = ("code", "error_code", "__type")
_TYPES = ("type", "error_type", "status")
_STATUSES = {
    "invalid_request_error": 400,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "authentication_error": 401,
    "UNAUTHENTICATED": 401,
    "permission_error": 403,
    "PERMISSION_DENIED": 403,
    "not_found_error": 404,
    "NOT_FOUND": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "RESOURCE_EXHAUSTED": 429,
    "overloaded_error": 503,
    "UNAVAILABLE": 503,
}
"""HTTP statuses of the words by which an error says what it is, where it comes without a status of its own."""
_BASE_STATUSES = {
    **dict.fromkeys((1026, 1042, 2013), 400),
    **dict.fromkeys((1004, 2049), 401),
    1008: 402,
    **dict.fromkeys((1002, 1039, 1041, 2045, 2056), 429),
}
"""HTTP statuses of MiniMax's codes, which come in a 200."""


@dataclass(frozen=True)
class ModelRefusal:
    """Error of a model server: None is what the server did not say."""

    message: str
    code: str | None = None
    type: str | None = None
    param: str | None = None
    status: int | None = None
    """HTTP status that the error's own fields name, 400 to 599."""
    retry_after: int | None = None
    """Seconds after which the same request may succeed."""


def parse_refusal(body: bytes, retry_after: str | None = None) -> ModelRefusal:
    """Return the error that a response with an error status holds; a body that is not JSON is its message.

    ``retry_after`` is the response's header: seconds, or a date of RFC 9110, which needs the current time.
    """
    text = body.decode(errors="replace").strip()
    try:
        refusal = refusal_of(json.loads(text))
    except (ValueError, RecursionError):
        refusal = ModelRefusal(text)
    seconds = _retry_seconds(retry_after)
    return refusal if seconds is None else replace(refusal, retry_after=seconds)


def refusal_of(body: Any) -> ModelRefusal:
    """Return the error in a parsed body."""
    if isinstance(body, list) and len(body) == 1 and isinstance(body[0], dict):
        return refusal_of(body[0])
    if not isinstance(body, dict):
        return ModelRefusal(body if isinstance(body, str) else json.dumps(body))
    detail = body.get("error") or _first(body.get("errors")) or body.get("fault") or base_failure(body) or body
    if isinstance(detail, str):
        outer = {key: value for key, value in body.items() if key != "error"}
        return replace(_of_object(outer), message=detail)
    return _of_object(detail) if isinstance(detail, dict) else ModelRefusal(_sentence(detail))


def base_failure(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the error that MiniMax puts beside or instead of an answer, as ``message``, ``code``, ``status``; else None."""
    base = body.get("base_resp")
    if not isinstance(base, dict) or (code := base.get("status_code")) in (None, 0, "0"):
        return None
    status = _BASE_STATUSES.get(code) if isinstance(code, int) else None
    return {"message": base.get("status_msg") or f"code {code}", "code": code} | ({"status": status} if status else {})


def redacted(refusal: ModelRefusal, key: str | None, headers: Mapping[str, str]) -> ModelRefusal:
    """Return the error without the API key and the values of the headers, which servers quote in their errors.

    The credentials of a value with a scheme, such as ``Bearer``, are taken out by themselves too.
    """
    values = {part for value in headers.values() for part in (value, value.rpartition(" ")[2])}
    secrets = {value for value in values if len(value) >= _MIN_SECRET} | ({key} if key else set())
    texts = {name: getattr(refusal, name) for name in ("message", "code", "type", "param")}
    for secret in sorted(secrets, key=len, reverse=True):
        texts = {name: text and text.replace(secret, "[key]") for name, text in texts.items()}
    return replace(refusal, **texts)


def is_refusal(body: Mapping[str, Any]) -> bool:
    """Return True if an object that may be of another kind has the fields of an error. A code of 0 says success."""
    codes = [body[name] for name in _CODES if body.get(name) not in (None, "")]
    if any(code not in (0, "0") for code in codes):
        return True
    return bool(body.get("fault")) or (not codes and any(body.get(name) for name in _MESSAGES))


def _of_object(detail: Mapping[str, Any]) -> ModelRefusal:
    message = next((detail[key] for key in _MESSAGES if detail.get(key)), None) or detail.get("faultstring")
    code, kind = _word(detail, _CODES), _word(detail, _TYPES)
    if code and code.isdecimal() and isinstance(detail.get("status"), str) and not detail["status"].isdecimal():
        code = detail["status"]  # Google's number is the HTTP status, and its word is the code
    return ModelRefusal(
        message=_sentence(message if message is not None else dict(detail)),
        code=code,
        type=kind if kind and not kind.isdecimal() else None,
        param=_word(detail, ("param",)) or _location(detail.get("detail")),
        status=_status(detail),
        retry_after=_retry_delay(detail.get("details")),
    )


def _sentence(message: Any) -> str:
    """Return a message as text. FastAPI's is a list of objects that say where and what; Mistral's may hold such a list."""
    match message:
        case str():
            return message
        case list():
            return "; ".join(map(_sentence, message))
        case {"loc": list(path), "msg": str(reason)}:
            return f"{'.'.join(map(str, path))}: {reason}"
        case {"detail": inner} | {"message": inner} if inner:
            return _sentence(inner)
    return json.dumps(message)


def _location(detail: Any) -> str | None:
    match detail:
        case [{"loc": list(path)}, *_]:
            return ".".join(str(step) for step in path if step != "body")[:MAX_WORD] or None
    return None


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None


def _word(detail: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = detail.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)[:MAX_WORD]
    return None


def _status(detail: Mapping[str, Any]) -> int | None:
    """Return the HTTP status that an error's fields name, some by number, some by a word."""
    for name in ("status", "code", "status_code", "statusCode", "http_code"):
        text = str(detail.get(name))
        if text.isascii() and text.isdecimal() and 400 <= int(text[:9]) <= 599:
            return int(text[:9])
    words = (detail.get(name) for name in ("status", "type", "code", "error_type"))
    return next((_STATUSES[word] for word in words if isinstance(word, str) and word in _STATUSES), None)


def _retry_delay(details: Any) -> int | None:
    """Return the seconds of Google's ``RetryInfo``, e.g. ``{"retryDelay": "17.5s"}``."""
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and isinstance(delay := detail.get("retryDelay"), str):
            return _retry_seconds(delay.removesuffix("s"))
    return None


def _retry_seconds(value: str | None) -> int | None:
    """Return whole seconds, rounded up."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value)
    return int(-(-seconds // 1)) if 0 <= seconds <= MAX_RETRY_SECONDS else None


def _seconds_until(date: str) -> float:
    from datetime import UTC, datetime  # noqa: PLC0415 - an import is latency, and dates are rare
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    try:
        return max(0.0, (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return -1
