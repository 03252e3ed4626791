"""Bytes of requests and answers, which are counted for all of them together."""

from starlette.requests import Request

from sympozium_http import request_state
from sympozium_platform import errors, platform_context


def hold(request: Request, size: int) -> None:
    """Count bytes of a request or its answer until the request ends. Raises Refusal 503 if this process holds too much."""
    budget, state = platform_context.of_request(request).budget, request_state.of(request)
    if budget.used - state.held_bytes >= budget.limit:
        message = "This replica holds as many bytes of requests and answers as it may."
        raise errors.unavailable("overloaded", message, retry_after=1)
    budget.add(size)
    state.held_bytes += size
