"""Frames of server-sent events."""

import json
from typing import Any

from sympozium_http.compact_json import json_bytes

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: clients skip it, and proxies see that the connection is alive."""
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_ESCAPES = tuple((end.encode(), json.dumps(end)[1:-1].encode()) for end in ("\u0085", "\u2028", "\u2029"))
"""Line ends of Unicode. Many clients split lines at them, as Python's ``splitlines`` does; SSE knows only CR and LF."""


def comment(text: str) -> bytes:
    """Return a comment, which clients skip; ``text`` is one line."""
    return f": {text}\n\n".encode()


def one_line(value: dict[str, Any]) -> bytes:
    """Return a JSON object as UTF-8 that any client takes for one line."""
    text = json_bytes(value)
    for line_end, escape in _ESCAPES:
        text = text.replace(line_end, escape)
    return text


def data(value: dict[str, Any], *, event: str = "") -> bytes:
    """Return one event that carries a JSON object; ``event`` is its type, if it has one."""
    kind = f"event: {event}\n" if event else ""
    return f"{kind}data: ".encode() + one_line(value) + b"\n\n"
