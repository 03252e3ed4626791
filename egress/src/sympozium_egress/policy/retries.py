"""Retries of a call: after which answers, and after which delay."""

import email.utils
from datetime import datetime

_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 5.0


def is_retried(status: int) -> bool:
    """Return true for an HTTP status after which the same call may succeed."""
    return status == 429 or 500 <= status < 600


def delay(attempt: int, *, jitter: float, retry_after: float | None, seconds_left: float) -> float | None:
    """Return the seconds to wait before the next attempt; None: there is no time for one.

    ``attempt`` counts from 0, ``jitter`` is from 0 to 1. A server's own ``retry_after`` is never shortened.
    """
    base: float = min(_FIRST_SECONDS * 2**attempt, _LONGEST_SECONDS)
    seconds = max(base * (0.5 + jitter), retry_after or 0.0)
    return seconds if seconds < seconds_left else None


def retry_after_seconds(text: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date (RFC 9110, section 10.2.3); None if it is neither."""
    if not text:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
