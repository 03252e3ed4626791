"""Responses of the API server to calls."""

import json

from sympozium_api.client.api_errors import ApiError, ApiUnavailable
from sympozium_api.resources import Object

_UNAVAILABLE = (401, 429, 500, 502, 503, 504)
"""Statuses after which the same call may succeed. 401 is one of them, because it concerns this process's own token, which is about to
be renewed, or whose pod was deleted and is about to end."""


def parse_response(status: int, content: bytes, *, is_read: bool = False) -> Object:
    """Return the object in a response of the API server. Raises ApiError or ApiUnavailable by its status."""
    if status < 400:
        parsed: Object = json.loads(content)
        return parsed
    try:
        body = json.loads(content)
    except ValueError:
        body = {"message": content[:500].decode(errors="replace")}
    if not isinstance(body, dict):
        body = {"message": str(body)[:500]}
    refusal = ApiError(status, body, is_read=is_read)
    if status in _UNAVAILABLE and not refusal.too_large:
        raise ApiUnavailable(str(refusal)) from refusal
    raise refusal
