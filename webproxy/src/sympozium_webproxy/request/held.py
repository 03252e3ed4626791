"""Bytes that this process holds for a request, counted in its byte budget."""

import asyncio
import re
from typing import Any, NoReturn

from starlette.requests import Request

from sympozium_api.json_members import count_values
from sympozium_http import request_state
from sympozium_http.byte_budget import ByteBudget
from sympozium_http.compact_json import json_bytes
from sympozium_http.refusal import Refusal
from sympozium_webproxy import context

_BYTES_PER_VALUE = 100
"""Bytes that a value or a member's name of parsed JSON takes beside its text."""
_ENCODED_COPIES = 2
"""Copies of a body as UTF-8 while its run is created: as it came, and encoded for the API server."""
_TEXT_COPIES = 2
"""Copies of a body as Python's strings: parsed, and as the text that the run keeps."""
_WIDE_COPIES = 4
"""The same of a long body with wide characters, while it is parsed: its text, its values, its members, and what the run keeps."""
_READ_COPIES = 3
"""Copies of a text that is read from parts: the parts, the text, and its values."""
_LONG_BYTES = 1024 * 1024
_WIDTHS = (
    (4, bytes(range(0xF0, 0xF5)), re.compile(rb"\\u[dD][89abAB]")),
    (2, bytes(range(0xC4, 0xF0)), re.compile(rb"\\u(?!00)")),
)
"""Bytes that Python keeps for each character of a string, by the UTF-8 or the escapes that such a string holds; else 1."""
_LITTLE = 4
"""Part of the budget, a quarter, beside which a body is parsed that exceeds the budget alone."""
_HALF = 2
"""Part of the budget that a photo of 8 MiB takes."""
_WAIT_SECONDS = 5.0
"""Seconds for which a long body waits for others: each takes well below a second until its run is stored."""
_POLL_SECONDS = 0.02
_CONTINUATION = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that begin no character."""


def refuse_if_spent(request: Request) -> None:
    """Raise Refusal 503 if this process holds as many bytes of other requests and of answers as it may."""
    budget = context.of(request).budget
    if budget.used - request_state.of(request).held_bytes >= budget.limit:
        refuse(request)


def refuse(request: Request, *, retry_after: int = 1) -> NoReturn:
    """Raise Refusal 503."""
    context.of(request).metrics.refused.labels("overloaded").inc()
    message = "This replica holds as many bytes of requests and answers as it may. Send the request again."
    raise Refusal(503, "overloaded", message, retry_after=retry_after)


def hold(request: Request, size: int) -> None:
    """Count further bytes until the request ends. Raises Refusal 503."""
    refuse_if_spent(request)
    keep(request, request_state.of(request).held_bytes + size)


async def hold_long(request: Request, size: int) -> None:
    """Wait until a long body with this parsed size fits, and count it until the request ends. Raises Refusal 503 after some seconds.

    It fits beside what the process holds, or if the process holds little else: so no two bodies that each exceed the budget are
    parsed at once. Long bodies that wait as well hold up none but those that exceed half of the budget.
    """
    budget, own, loop = context.of(request).budget, request_state.of(request).held_bytes, asyncio.get_running_loop()
    until = loop.time() + _WAIT_SECONDS
    budget.waiting += own
    try:
        while not _fits(budget, own, size):
            if loop.time() > until:
                refuse(request, retry_after=round(_WAIT_SECONDS))
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        budget.waiting -= own
    keep(request, size)


def _fits(budget: ByteBudget, own: int, size: int) -> bool:
    others = budget.used - own
    active = others - (budget.waiting - own) if size <= budget.limit // _HALF else others
    return active + size <= budget.limit or others <= budget.limit // _LITTLE


def hold_texts(request: Request, size: int) -> None:
    """Count a run's texts that are about to be read from parts, which have this size, until the request ends.

    Raises Refusal 503 unless they fit, as ``hold_long``.
    """
    own = request_state.of(request).held_bytes
    if not _fits(context.of(request).budget, own, own + _READ_COPIES * size):
        refuse(request)
    keep(request, own + _READ_COPIES * size)


def keep(request: Request, size: int) -> None:
    """Count this many bytes from now on, because the rest was released."""
    state = request_state.of(request)
    context.of(request).budget.add(size - state.held_bytes)
    state.held_bytes = size


def size_once_parsed(value: Any) -> int:
    """Return about how many bytes a JSON value takes in a request, as ``parsed_size``."""
    content = json_bytes(value)
    return parsed_size(content, count_values(content))


def parsed_size(content: bytes, values: int) -> int:
    """Return about how many bytes a JSON body with so many values takes while its run is created.

    One character beyond Latin-1 makes Python keep 2 bytes for each character of its string, one emoji 4.
    """
    characters = len(content) - _count(content, _CONTINUATION)
    width = 1
    if not content.isascii() or b"\\" in content:
        width = next((width for width, signs, escape in _WIDTHS if _count(content, signs) or escape.search(content)), 1)
    copies = _WIDE_COPIES if width > 1 and len(content) > _LONG_BYTES else _TEXT_COPIES
    return _ENCODED_COPIES * len(content) + copies * width * characters + _BYTES_PER_VALUE * values


def _count(content: bytes, signs: bytes) -> int:
    """Return how many bytes above ASCII are among these."""
    return 0 if content.isascii() else len(content) - len(content.translate(None, signs))
