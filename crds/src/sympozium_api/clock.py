"""Time, as something that is handed in, so that no test waits for it to pass."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What may be asked of time."""

    def now(self) -> datetime:
        """The time of day, in UTC."""

    def monotonic(self) -> float:
        """Seconds from some moment on; never goes back."""


class SystemClock:
    """The machine's own."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from some moment on."""
        return time.monotonic()


def parsed(timestamp: str) -> datetime:
    """A point in time as Kubernetes writes it (RFC 3339, with or without a fraction)."""
    return datetime.fromisoformat(timestamp)


def timestamp(moment: datetime) -> str:
    """A point in time as Kubernetes writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """A point in time as Kubernetes writes it where seconds are too coarse: UTC, microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
