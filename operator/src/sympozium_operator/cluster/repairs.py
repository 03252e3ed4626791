"""Repairs of objects that somebody else changes again and again: each waits longer than the one before. No I/O."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from sympozium_api.resources import Object
from sympozium_operator.desired.drift import applied_digest

FIRST_DISTANCE = 0.5
LONGEST_DISTANCE = 60.0
"""Seconds between two repairs of one object; the distance doubles with each repair."""
_RESOLUTION = 0.001
"""Seconds below which a repair is due, because times are sums of floating-point numbers."""
QUIET = 10.0
"""Seconds beyond twice its distance for which an object has to stay as it was applied, so that its distance begins again."""

_delays: ContextVar[list[float] | None] = ContextVar("delays", default=None)
"""Seconds of the repairs that wait in this reconcile, whoever owns the objects: the route of a server run is an instance's work."""

_Address = tuple[str, str, str]


class _Applied(NamedTuple):
    """Last write of an object: the digest of what was applied, how often in a row, and when."""

    digest: str
    times: int
    at: float

    @property
    def distance(self) -> float:
        """Seconds until the next repair; the first one waits for nothing."""
        return min(FIRST_DISTANCE * 2.0 ** (self.times - 2), LONGEST_DISTANCE) if self.times > 1 else 0.0

    @property
    def quiet_at(self) -> float:
        return self.at + 2 * self.distance + QUIET


@dataclass
class Repairs:
    """Writes of the last minutes. Only a write of what was applied already is a repair: a changed spec waits for nothing."""

    now: Callable[[], float]
    """Clock of monotonic seconds."""
    count_delayed: Callable[[str], None]
    """Counter of repairs that have to wait, by the kind of the object."""
    _applied: dict[_Address, _Applied] = field(default_factory=dict)
    """Writes by object, in the order of their time."""

    def wait(self, desired: Object) -> float:
        """Return the seconds until an object may be applied; 0: now. A repair that has to wait is counted, and added to ``delays``."""
        last = self._last(desired)
        seconds = last.at + last.distance - self.now() if last else 0.0
        if seconds < _RESOLUTION:
            return 0.0
        self.count_delayed(desired["kind"])
        if (delays := _delays.get()) is not None:
            delays.append(seconds)
        return seconds

    def applied(self, desired: Object) -> None:
        """Record that an object was applied."""
        last, address, now = self._last(desired), _address(desired), self.now()
        self._applied.pop(address, None)
        self._applied[address] = _Applied(applied_digest(desired), last.times + 1 if last else 1, now)
        while now >= next(iter(self._applied.values())).at + 2 * LONGEST_DISTANCE + QUIET:
            del self._applied[next(iter(self._applied))]

    @staticmethod
    def delays() -> list[float]:
        """Return the list to which this reconcile, which is a task of its own, adds the seconds of its repairs that have to wait."""
        found: list[float] = []
        _delays.set(found)
        return found

    def _last(self, desired: Object) -> _Applied | None:
        """Return the last write of the same content, unless the object has stayed as it was applied."""
        last = self._applied.get(_address(desired))
        return last if last and last.digest == applied_digest(desired) and self.now() < last.quiet_at else None


def _address(desired: Object) -> _Address:
    return desired["kind"], desired["metadata"]["namespace"], desired["metadata"]["name"]
