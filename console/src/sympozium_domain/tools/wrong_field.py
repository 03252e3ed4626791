"""Refusals of fields that a caller has sent, in the caller's names."""

from collections.abc import Mapping

from sympozium_api.base import Resource
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import Object


class WrongField(ValueError):
    """A value that a field cannot have; the message says why, without the value."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check(model: type[Resource], body: Object, sent_names: Mapping[str, str]) -> None:
    """Raise WrongField if a kind does not allow what was made of a caller's fields. ``sent_names`` are these, by the kind's own."""
    try:
        read(model, body)
    except Unreadable as error:
        path, _, message = error.fields.partition("; ")[0].partition(": ")
        own = next((name for name in sent_names if path == name or path.startswith(f"{name}[")), "")
        raise WrongField(path.replace(own, sent_names[own]) if own else path, message) from None
