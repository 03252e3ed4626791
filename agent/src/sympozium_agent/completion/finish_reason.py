"""Finish reasons: each vendor's word as OpenAI's, derived where a server gives none. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CUT = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_new_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "language": "content_filter",
    "image_safety": "content_filter",
    "image_recitation": "content_filter",
    "image_prohibited_content": "content_filter",
}
"""Reasons why a model stopped before its answer was complete."""
_FAILED = (
    *("error", "abort", "network_error", "insufficient_system_resource", "engine_overloaded"),
    *("server_error", "internal_error", "model_error", "timeout", "cancelled", "canceled", "failed"),
    *("malformed_function_call", "malformed_response", "unexpected_tool_call"),
)
"""Reasons by which a server reports that it failed."""


def finish_reason(given: str, *, has_tool_calls: bool, has_function_call: bool) -> str:
    """Return why the model stopped: what cut the answer, else what the answer ends with, whatever word the server has for it."""
    if cut := _CUT.get(_word(given)):
        return cut
    if has_tool_calls:
        return "tool_calls"
    return "function_call" if has_function_call else "stop"


def is_failure(given: Any) -> bool:
    """Return True if a finish reason says that the server failed."""
    return isinstance(given, str) and _word(given) in _FAILED


def _word(given: str) -> str:
    """Return the reason itself: Google's servers send ``function_call_filter: MALFORMED_FUNCTION_CALL``."""
    return given.rpartition(":")[2].strip().lower()
