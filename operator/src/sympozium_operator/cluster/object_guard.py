"""Guard of the loops that all objects share: an object that cannot be read or acted on is counted and logged, and nothing waits for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import Object, ResourceType

log = structlog.get_logger()

CountUnreadable = Callable[[str], None]
"""Counter of objects that cannot be read or acted on, by their kind."""


@contextmanager
def guarded(count: CountUnreadable, kind: ResourceType, metadata: Object) -> Iterator[None]:
    """Pass over an object whose turn in a loop fails. ApiUnavailable passes through, because it concerns the whole loop."""
    try:
        yield
    except ApiUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the object did, the next one has its turn
        count(kind.kind)
        where = {"namespace": metadata.get("namespace"), "name": metadata.get("name")}
        log.warning("object skipped", kind=kind.kind, **where, error=f"{type(error).__name__}: {error}"[:500])
