"""Points in time as Kubernetes writes them (RFC 3339). Pure: the current time is ``clock``'s."""

from datetime import UTC, datetime


def parsed(timestamp: str) -> datetime:
    """Return the point in time of a timestamp, with or without a fraction of a second."""
    return datetime.fromisoformat(timestamp)


def timestamp(moment: datetime) -> str:
    """Return a timestamp in UTC and whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """Return a timestamp in UTC and microseconds, for where whole seconds are too coarse."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
