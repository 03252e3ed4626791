"""Timestamps as Kubernetes writes them (RFC 3339). Pure: ``clock`` tells the current time."""

import re
from datetime import UTC, datetime

_FRACTION = re.compile(r"(\.[0-9]{1,9})?Z")
"""End of a timestamp, after its second."""


def parse_timestamp(text: str) -> datetime:
    """Parse a timestamp, with or without a fraction of a second. Raises ValueError, also for a time that UTC does not have."""
    moment = datetime.fromisoformat(text)
    try:
        moment.utctimetuple()
    except OverflowError:  # before the year 1 or after 9999
        raise ValueError("the time is out of range in UTC") from None
    return moment


def timestamp(moment: datetime) -> str:
    """Format a time as metav1.Time: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """Format a time as metav1.MicroTime: UTC, microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def within_second(text: str, second: str) -> str:
    """Return a time as text that sorts by time, brought into the second of a metav1.Time.

    Anybody may have written the text: what lies in the second and is no time counts as its end.
    """
    bounded = max(second.replace("Z", ".000000Z"), min(text, second))  # "." sorts before "Z"
    return bounded if _FRACTION.fullmatch(bounded.removeprefix(second.removesuffix("Z"))) else second
