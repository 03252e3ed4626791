"""Objects that a watch cannot read or act on: they are counted and logged, and nothing else waits for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import CollectorRegistry, Counter
from pydantic import ValidationError

from sympozium_api.resources import Object

log = structlog.get_logger()


class UnreadableObjects:
    """The count of a process's unreadable objects."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "sympozium_unreadable_objects_total",
            "Versions of objects that this process could not read or act on, and skipped.",
            ["kind"],
            registry=registry,
        )

    @contextmanager
    def skipping(self, kind: str, body: Object) -> Iterator[None]:
        """Skip the object that this context works on if it raises. The next version of the object is tried again."""
        try:
            yield
        except Exception as failure:  # noqa: BLE001 - one object must not end the watch that all objects share
            self._count.labels(kind).inc()
            metadata = body.get("metadata") or {}
            log.error(  # noqa: TRY400 - a traceback would quote the object
                "unreadable object skipped",
                kind=kind,
                namespace=metadata.get("namespace"),
                name=metadata.get("name"),
                error=type(failure).__name__,
                fields=_fields(failure),
            )


def _fields(failure: Exception) -> list[str]:
    """Return the fields that could not be read. A failure's message is not logged, because it quotes the object."""
    if not isinstance(failure, ValidationError):
        return []
    return [".".join(map(str, error["loc"])) for error in failure.errors(include_input=False, include_url=False)][:5]
