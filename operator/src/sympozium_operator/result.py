"""Result of a reconcile: the key of an object, and when to reconcile the object again."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

KeyKind = Literal["instance", "run", "skillpack", "config", "pool"]
"""Kinds of keys. A pool belongs to an instance, and has its name."""


class Key(NamedTuple):
    """Key of an object to reconcile. It holds nothing of the object's state, because the reconciler reads the live object."""

    kind: KeyKind
    namespace: str
    name: str

    @property
    def log_fields(self) -> dict[str, str]:
        """Return the fields that all log lines about this object have."""
        return {"namespace": self.namespace, self.kind: self.name}


@dataclass(frozen=True)
class Result:
    """Result of a reconcile without an exception; after an exception the work queue retries with backoff."""

    requeue_after: float | None = None
    """Seconds until the object is reconciled again without an event. None: only an event or the resync brings it back."""
    enqueue: tuple[Key, ...] = ()
    """Other objects to reconcile now."""


DONE = Result()


class RetryLater(Exception):
    """Obstacle that will go away; the work queue retries the reconcile with backoff."""
