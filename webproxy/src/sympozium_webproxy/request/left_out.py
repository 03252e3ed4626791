"""The answer's header that names what was left out of a request."""

from collections.abc import Sequence
from urllib.parse import quote

from starlette.requests import Request

from sympozium_http import request_state

HEADER = "x-sympozium-ignored"
_MOST = 32
"""Paths that the header names; of more, the last entry is ``...``, because clients bound the size of headers."""
_LONGEST = 128
"""Characters of a path, likewise."""


def tell(request: Request, paths: Sequence[str]) -> None:
    """Let every answer to a request name these fields, from now on; characters that no header can hold are percent-encoded."""
    if paths:
        shown = [quote(path, safe="[]$~")[:_LONGEST] for path in paths[:_MOST]]
        request_state.of(request).answer_headers[HEADER] = ", ".join([*shown, *(["..."] if len(paths) > _MOST else [])])
