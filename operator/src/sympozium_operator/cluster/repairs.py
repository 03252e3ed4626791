"""Repairs of objects that somebody else changes again and again: each waits longer than the one before. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sympozium_api.resources import CONFIGS, INSTANCES, RUNS, Object
from sympozium_operator.desired.drift import applied_digest
from sympozium_operator.policy.pod_status import controller
from sympozium_operator.result import Key, KeyKind

FIRST_DISTANCE = 0.5
LONGEST_DISTANCE = 60.0
"""Seconds between two repairs of one object; the distance doubles with each repair."""
_RESOLUTION = 0.001
"""Seconds below which a repair is due, because times are sums of floating-point numbers."""
QUIET = 10.0
"""Seconds beyond twice its distance for which an object has to stay as it was applied, so that its distance begins again."""

_OWNERS: dict[str, KeyKind] = {INSTANCES.kind: "instance", RUNS.kind: "run", CONFIGS.kind: "config"}

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
    _due: dict[Key, float] = field(default_factory=dict)
    """Times at which keys have a repair that waits."""

    def wait(self, desired: Object) -> float:
        """Return the seconds until an object may be applied; 0: now. A repair that has to wait is counted, and due for its owner."""
        last = self._last(desired)
        seconds = last.at + last.distance - self.now() if last else 0.0
        if seconds < _RESOLUTION:
            return 0.0
        self.count_delayed(desired["kind"])
        if (owner := _owner(desired)) is not None:
            self._due[owner] = min(self._due.get(owner, float("inf")), self.now() + seconds)
        return seconds

    def applied(self, desired: Object) -> None:
        """Record that an object was applied."""
        last, address, now = self._last(desired), _address(desired), self.now()
        self._applied.pop(address, None)
        self._applied[address] = _Applied(applied_digest(desired), last.times + 1 if last else 1, now)
        while now >= next(iter(self._applied.values())).at + 2 * LONGEST_DISTANCE + QUIET:
            del self._applied[next(iter(self._applied))]

    def next_in(self, key: Key) -> float | None:
        """Return the seconds until the earliest repair that waits of what a key owns, and forget it; None: none waits."""
        due = self._due.pop(key, None)
        return None if due is None else max(0.0, due - self.now())

    def _last(self, desired: Object) -> _Applied | None:
        """Return the last write of the same content, unless the object has stayed as it was applied."""
        last = self._applied.get(_address(desired))
        return last if last and last.digest == applied_digest(desired) and self.now() < last.quiet_at else None


def _owner(desired: Object) -> Key | None:
    owner = controller(desired)
    kind = _OWNERS.get(owner.get("kind", ""))
    return Key(kind, desired["metadata"]["namespace"], owner["name"]) if kind else None


def _address(desired: Object) -> _Address:
    return desired["kind"], desired["metadata"]["namespace"], desired["metadata"]["name"]
