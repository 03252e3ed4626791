"""Bytes that this process holds for a request, counted in its byte budget."""

import re
from typing import NoReturn

from starlette.requests import Request

from sympozium_api.json_members import count_values
from sympozium_http import request_state
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
_CONTINUATION = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that begin no character."""


def refuse_if_spent(request: Request) -> None:
    """Raise Refusal 503 if this process holds as many bytes of other requests and of answers as it may."""
    budget = context.of(request).budget
    if budget.used - request_state.of(request).held_bytes >= budget.limit:
        refuse(request)


def refuse(request: Request) -> NoReturn:
    """Raise Refusal 503."""
    context.of(request).metrics.refused.labels("overloaded").inc()
    message = "This replica holds as many bytes of requests and answers as it may. Send the request again."
    raise Refusal(503, "overloaded", message, retry_after=1)


def hold(request: Request, size: int) -> None:
    """Count further bytes until the request ends. Raises Refusal 503."""
    refuse_if_spent(request)
    keep(request, request_state.of(request).held_bytes + size)


def hold_long(request: Request, size: int) -> None:
    """Count a long body with this parsed size until the request ends.

    Raises Refusal 503 unless it fits beside what the process holds, or the process holds little else: so no two bodies that each
    exceed the budget are parsed at once.
    """
    budget, state = context.of(request).budget, request_state.of(request)
    others = budget.used - state.held_bytes
    if others + size > budget.limit and others > budget.limit // _LITTLE:
        refuse(request)
    keep(request, size)


def hold_texts(request: Request, size: int) -> None:
    """Count a run's texts that are about to be read from parts, which have this size, until the request ends. As ``hold_long``."""
    hold_long(request, request_state.of(request).held_bytes + _READ_COPIES * size)


def keep(request: Request, size: int) -> None:
    """Count this many bytes from now on, because the rest was released."""
    state = request_state.of(request)
    context.of(request).budget.add(size - state.held_bytes)
    state.held_bytes = size


def parsed_size(content: bytes) -> int:
    """Return about how many bytes a JSON body takes while its run is created.

    One character beyond Latin-1 makes Python keep 2 bytes for each character of its string, one emoji 4.
    """
    values = count_values(content)
    characters = len(content) - _count(content, _CONTINUATION)
    width = next((width for width, signs, escape in _WIDTHS if _count(content, signs) or escape.search(content)), 1)
    copies = _WIDE_COPIES if width > 1 and len(content) > _LONG_BYTES else _TEXT_COPIES
    return _ENCODED_COPIES * len(content) + copies * width * characters + _BYTES_PER_VALUE * values


def _count(content: bytes, signs: bytes) -> int:
    """Return how many bytes above ASCII are among these."""
    return 0 if content.isascii() else len(content) - len(content.translate(None, signs))
