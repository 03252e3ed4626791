"""Frames of server-sent events."""

from typing import Any

from sympozium_http.compact_json import json_bytes

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: clients skip it, and proxies see that the connection is alive."""
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


def data(value: dict[str, Any], *, event: str = "") -> bytes:
    """Return one event that carries a JSON object; ``event`` is its type, if it has one."""
    kind = f"event: {event}\n" if event else ""
    return f"{kind}data: ".encode() + json_bytes(value) + b"\n\n"
