"""Result of a reconcile: the key of an object, and when to reconcile the object again."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from sympozium_api.names import WEB_ENDPOINT_SKILL

KeyKind = Literal["instance", "run", "skillpack", "config", "pool", "tools", "provider", "policy"]
"""Kinds of keys. A pool belongs to an instance, and has its name. ``tools`` are all Tools and ToolBindings of a namespace; the name is
``tool_reconciler.ALL``. ``policy`` is a SympoziumPolicy; without a name it is the labels of a namespace."""


class Key(NamedTuple):
    """Key of an object to reconcile. It holds nothing of the object's state, because the reconciler reads the live object."""

    kind: KeyKind
    namespace: str
    name: str

    @property
    def is_urgent(self) -> bool:
        """True for a run in mode task, as far as its name shows: a caller may wait for it."""
        return self.kind == "run" and not self.name.endswith(f"-{WEB_ENDPOINT_SKILL}")

    @property
    def is_shared(self) -> bool:
        """True for an object that many instances share, so that a change of it does not wait for the reconciles of them all."""
        return self.kind in ("provider", "policy")

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
    spread: tuple[Key, ...] = ()
    """Other objects to reconcile soon, one after the other, because there may be thousands."""


DONE = Result()


class RetryLater(Exception):
    """Obstacle that will go away; the work queue retries the reconcile with backoff."""


class RepairDelayed(RetryLater):
    """Object that is missing and may not be created yet, because it is deleted again and again."""


class NameTaken(RetryLater):
    """Object of somebody else that has the name of one to make. It stays until its owner renames or deletes it; the text names it."""
