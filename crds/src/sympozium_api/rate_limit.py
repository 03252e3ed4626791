"""Rates of calls and requests, such as ``10/minute``. Pure."""

import re
from dataclasses import dataclass

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_SYNTAX = re.compile(r"([1-9][0-9]{0,5})/(second|minute|hour|day)")


@dataclass(frozen=True)
class CallRate:
    """Most calls in any window of ``seconds``."""

    calls: int
    seconds: int


def parse_rate(text: str) -> CallRate:
    """Return the rate that a text such as ``10/minute`` means. Raises ValueError."""
    parts = _SYNTAX.fullmatch(text)
    if parts is None:
        raise ValueError("is not a number per second, minute, hour or day, such as 10/minute")
    return CallRate(int(parts[1]), _SECONDS[parts[2]])
