"""Runs that could not be read, each with the time of its next attempt."""

from collections.abc import Collection
from dataclasses import dataclass, field

from sympozium_api.clock import Clock

LONGEST_SECONDS = 300.0
"""Seconds between two attempts at most."""


@dataclass(frozen=True)
class _Failures:
    number: int
    next_at: float


@dataclass(frozen=True)
class PostponedRuns:
    """Failures by UID. The second attempt is made at once, then pauses double, so that a run that nobody can read costs nothing."""

    clock: Clock
    _failures: dict[str, _Failures] = field(default_factory=dict)

    def is_due(self, uid: str) -> bool:
        """Return whether a run may be read now."""
        failures = self._failures.get(uid)
        return failures is None or failures.next_at <= self.clock.monotonic()

    def failed(self, uid: str) -> None:
        """Note that a run could not be read."""
        before = self._failures.get(uid)
        number = before.number + 1 if before else 1
        pause = min(2.0 ** min(number, 30) - 2, LONGEST_SECONDS)
        self._failures[uid] = _Failures(number, self.clock.monotonic() + pause)

    def retain(self, uids: Collection[str]) -> None:
        """Forget the failures of all other runs: they were read, or are gone."""
        for uid in self._failures.keys() - uids:
            del self._failures[uid]
