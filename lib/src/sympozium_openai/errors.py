"""Errors in the shape that OpenAI's clients expect: ``{"error": {"message", "type", "param", "code"}}``."""

from typing import Any

from sympozium_http.refusal import Refusal


def render(refusal: Refusal) -> dict[str, Any]:
    """Return the body of a refusal; its ``type`` is the model server's, or follows from the status."""
    error = {
        "message": refusal.message,
        "type": refusal.kind or _type(refusal.status),
        "param": refusal.param,
        "code": refusal.code or None,
    }
    return {"error": error}


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"
