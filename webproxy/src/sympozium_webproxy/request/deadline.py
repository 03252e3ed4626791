"""The caller's deadline: the header ``x-request-timeout``."""

import re

from starlette.requests import Request

from sympozium_http.refusal import Refusal

HEADER = "x-request-timeout"
_SECONDS = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,3})?)s?")
_LONGEST = 86400.0


def wait_seconds(request: Request) -> float | None:
    """Return the seconds that the caller is willing to wait; None if it does not say. Raises Refusal 400."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    match = _SECONDS.fullmatch(text.strip())
    if match and 0 < (seconds := float(match[1])) <= _LONGEST:
        return seconds
    message = f"{HEADER} must be a number of seconds, up to {_LONGEST:g}, such as 30 or 2.5s."
    raise Refusal(400, "invalid_value", message, param=HEADER)
