"""Server-sent events, as far as OpenAI's streams use them."""

import json
from typing import Any

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: clients skip it, and proxies see that the connection lives."""
DONE = b"data: [DONE]\n\n"


def data(value: dict[str, Any]) -> bytes:
    """One event that carries a JSON object."""
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
