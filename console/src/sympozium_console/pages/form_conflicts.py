"""Forms whose object somebody else has changed meanwhile: what was typed, what is stored now, and what the form began with. Pure.

A form holds its beginning in the field ``was``. A field that its user left alone takes the stored value, so that saving again puts only
what was typed in the place of the other change.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from sympozium_console.pages.page_changes import Faults


class FormField(Protocol):
    """A field of a form, by the name of its value and the words beside it."""

    @property
    def path(self) -> str:
        """Name of the value in the form."""

    @property
    def label(self) -> str:
        """Words beside it."""


@dataclass(frozen=True)
class FieldConflict:
    """A field that at least one of both has changed."""

    label: str
    yours: str
    theirs: str
    was: str
    """Value with which the form began."""


@dataclass(frozen=True)
class FormState:
    """Values of a form that is shown."""

    values: Mapping[str, str]
    was: str
    """Values of the stored object, for the hidden field ``was``."""
    conflicts: Sequence[FieldConflict] = field(default_factory=tuple)

    @classmethod
    def of(
        cls, stored: Mapping[str, str], typed: Mapping[str, str] | None, faults: Faults, fields: Sequence[FormField]
    ) -> Self:
        """Return the state of a form after an attempt to save it; ``typed`` None: it is shown for the first time."""
        beginning = beginning_of(typed or {})
        values, conflicts = {**stored, **(typed or {})}, []
        for one in fields if faults.is_conflict and beginning else ():
            was, yours, theirs = beginning.get(one.path, ""), values.get(one.path, ""), stored.get(one.path, "")
            if yours == was:
                values[one.path] = theirs
            if was not in (yours, theirs) or yours != theirs:
                conflicts.append(FieldConflict(one.label, yours, theirs, was))
        return cls(values, json.dumps(dict(stored)), conflicts)


def beginning_of(typed: Mapping[str, str]) -> dict[str, str]:
    """Return the values with which a form began, none if it does not say."""
    try:
        found = json.loads(typed.get("was", ""))
    except (ValueError, RecursionError):
        return {}
    return {str(path): str(value) for path, value in found.items()} if isinstance(found, dict) else {}
