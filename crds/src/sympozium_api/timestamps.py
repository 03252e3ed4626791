"""Timestamps as Kubernetes writes them (RFC 3339). Pure: ``clock`` tells the current time."""

from datetime import UTC, datetime


def parse_timestamp(text: str) -> datetime:
    """Parse a timestamp, with or without a fraction of a second."""
    return datetime.fromisoformat(text)


def timestamp(moment: datetime) -> str:
    """Format a time as metav1.Time: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """Format a time as metav1.MicroTime: UTC, microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
