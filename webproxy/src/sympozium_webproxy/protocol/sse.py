"""Server-sent events, as far as OpenAI's streams use them."""

from typing import Any

from sympozium_webproxy.protocol.encoding import json_bytes

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: clients skip it, and proxies see that the connection lives."""
DONE = b"data: [DONE]\n\n"


def data(value: dict[str, Any]) -> bytes:
    """One event that carries a JSON object."""
    return b"data: " + json_bytes(value) + b"\n\n"
