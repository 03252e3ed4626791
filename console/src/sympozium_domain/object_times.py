"""Times of objects that a dialect writes, to the microsecond, which a restore keeps. Pure.

Kubernetes' own time of creation has whole seconds, and begins again when an object is restored.
"""

from datetime import UTC, datetime

from sympozium_api import names
from sympozium_api.resources import Object
from sympozium_api.timestamps import micro_timestamp, parse_timestamp


def created(body: Object) -> datetime:
    """Return the time of an object's creation."""
    return _time(body, names.ANNOTATION_CREATED_AT) or parse_timestamp(body["metadata"]["creationTimestamp"])


def updated(body: Object) -> datetime:
    """Return the time of an object's last change through a dialect; without one, of its creation."""
    return max(_time(body, names.ANNOTATION_UPDATED_AT) or created(body), created(body))


def at_creation(now: datetime) -> dict[str, str]:
    """Return the annotations of an object that is created now."""
    return {names.ANNOTATION_CREATED_AT: micro_timestamp(now)} | at_change(now)


def at_change(now: datetime) -> dict[str, str]:
    """Return the annotations of an object that is changed now."""
    return {names.ANNOTATION_UPDATED_AT: micro_timestamp(now)}


def _time(body: Object, annotation: str) -> datetime | None:
    """Return the time in an annotation; None if there is none, or nobody of ours wrote it."""
    text = (body["metadata"].get("annotations") or {}).get(annotation, "")
    try:
        moment = parse_timestamp(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else None
