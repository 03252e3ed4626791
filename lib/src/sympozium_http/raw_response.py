"""Responses message by message, for answers whose status or length is known late."""

from collections.abc import Mapping
from typing import Any

from starlette.types import Send

from sympozium_http.compact_json import json_bytes


async def start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the status and the headers."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def send_piece(send: Send, content: bytes) -> None:
    """Send a piece of the body that more pieces follow."""
    await send({"type": "http.response.body", "body": content, "more_body": True})


async def finish(send: Send, content: bytes = b"") -> None:
    """Send the last piece of the body."""
    await send({"type": "http.response.body", "body": content})


async def send_json(send: Send, status: int, body: dict[str, Any], headers: Mapping[str, str]) -> None:
    """Send a whole JSON response; ``headers`` win over those that JSON has anyway."""
    content = json_bytes(body)
    described = {"content-type": "application/json", "content-length": str(len(content))}
    await start(send, status, {**described, **headers})
    await finish(send, content)
