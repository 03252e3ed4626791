"""The console's refusals of requests that arrive too slowly or without bound, below ASGI."""

from typing import Any

from sympozium_console import refusals
from sympozium_http.request_limits import RequestLimits

_REASONS = {408: "RequestTimeout", 431: "HeadersTooLarge"}


class ConsoleLimits(RequestLimits):
    """RequestLimits whose refusals have the console's shape."""

    @staticmethod
    def error_body(status: int, message: str, code: str) -> dict[str, Any]:
        """Return the body of a refusal."""
        return refusals.error_body(status, _REASONS.get(status, code), message)
