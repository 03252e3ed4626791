"""Bytes that this process holds for a request, counted in its byte budget."""

from starlette.requests import Request

from sympozium_http import request_state
from sympozium_http.refusal import Refusal
from sympozium_webproxy import context

_BYTES_PER_VALUE = 100
"""Bytes that a value of parsed JSON takes beside its text."""
_COPIES = 3
"""Copies of a body while its run is created: as it came, parsed, and encoded for the API server."""


def refuse_if_spent(request: Request) -> None:
    """Raise Refusal 503 if this process holds as many bytes of requests and answers as it may."""
    parts = context.of(request)
    if parts.budget.is_spent:
        parts.metrics.refused.labels("overloaded").inc()
        message = "This replica holds as many bytes of requests and answers as it may. Send the request again."
        raise Refusal(503, "overloaded", message, retry_after=1)


def hold(request: Request, size: int) -> None:
    """Count further bytes until the request ends. Raises Refusal 503."""
    refuse_if_spent(request)
    keep(request, request_state.of(request).held_bytes + size)


def keep(request: Request, size: int) -> None:
    """Count this many bytes from now on, because the rest was released."""
    state = request_state.of(request)
    context.of(request).budget.add(size - state.held_bytes)
    state.held_bytes = size


def parsed_size(content: bytes) -> int:
    """Return about how many bytes a JSON body takes while its run is created."""
    values = sum(content.count(sign) for sign in (b",", b"[", b"{"))
    return _COPIES * len(content) + _BYTES_PER_VALUE * values
