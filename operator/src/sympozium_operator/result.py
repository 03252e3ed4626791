"""What a look at one object leaves behind: the key of the object, and when to look again."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

KeyKind = Literal["instance", "run", "skillpack", "config", "pool"]
"""A pool is an instance's, and has its name."""


class Key(NamedTuple):
    """An object to look at. What was known of it is not part of the key: the reconciler reads it as it is then."""

    kind: KeyKind
    namespace: str
    name: str

    @property
    def about(self) -> dict[str, str]:
        """The fields by which all lines of the log about this object are found."""
        return {"namespace": self.namespace, self.kind: self.name}


@dataclass(frozen=True)
class Result:
    """The end of a reconcile that came to an end; everything else is an exception, and is tried again with backoff."""

    requeue_after: float | None = None
    """Seconds until the object is looked at again without an event. None: only an event, or the resync, brings it back."""
    enqueue: tuple[Key, ...] = ()
    """Other objects that should be looked at now."""


DONE = Result()


class RetryLater(Exception):
    """Something that will go away stands in the way; the reconcile is tried again with backoff."""
