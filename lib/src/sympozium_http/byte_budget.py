"""The bytes of callers' content that a process may hold at once. No I/O."""

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Fits a container of 256 MiB: parsed JSON takes several times the bytes of its text, and the process itself about 75 MiB."""


class ByteBudget:
    """The bytes that a process holds for requests and answers, and the most that it may hold before it refuses new work."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self.used = 0

    @property
    def is_spent(self) -> bool:
        """Return true if the process holds as much as it may. What is under way continues."""
        return self.used >= self.limit

    def add(self, size: int) -> None:
        """Count bytes that are held from now on; a negative size, bytes that are held no longer."""
        self.used += size
