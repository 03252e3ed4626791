"""Annotations of a run that is a turn of a session, read without trust in them. Pure."""

from collections.abc import Mapping

from sympozium_api import names

_MOST_DIGITS = 9


def history_length(annotations: Mapping[str, str]) -> int:
    """Return the number of messages of earlier turns with which a run's request begins."""
    return _count(annotations, names.ANNOTATION_SESSION_HISTORY)


def left_out(annotations: Mapping[str, str]) -> int:
    """Return the number of messages of its session that a run's request does not have."""
    return _count(annotations, names.ANNOTATION_SESSION_LEFT_OUT)


def _count(annotations: Mapping[str, str], name: str) -> int:
    text = annotations.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0
