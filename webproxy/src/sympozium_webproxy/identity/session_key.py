"""The key that signs MCP sessions: a file of a mounted Secret, read whenever it is needed, so that a new one applies at once."""

from pathlib import Path

from sympozium_http import bearer_keys
from sympozium_http.refusal import Refusal

_MIN_BYTES = 32


def read(file: Path) -> bytes:
    """Return the session key. Raises Refusal 503 if the file does not hold one."""
    key = bearer_keys.content(file)
    if len(key) < _MIN_BYTES:
        message = "This replica has no key for MCP sessions yet; the operator generates it."
        raise Refusal(503, "session_key_missing", message, retry_after=10)
    return key
