"""Fields of a spec as fields of a form, named by their paths. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sympozium_api.resources import Object

_NUMBER = re.compile("-?[0-9]{1,18}")


@dataclass(frozen=True)
class SpecField:
    """One field."""

    path: str
    """Path below the spec, such as ``agents.default.model``; the name in the form."""
    label: str
    kind: Literal["text", "number", "area", "lines"] = "text"
    description: str = ""
    default: str = ""
    """Value that holds where the field is left empty."""

    def shown(self, value: Any) -> str:
        """Return a value of the spec as the form shows it."""
        if value is None:
            return ""
        return "\n".join(map(str, value)) if isinstance(value, list) else str(value)

    def parsed(self, text: str) -> Any:
        """Return what a form's text means: None for the default. A number that is none stays a text, which is refused at its field."""
        text = text if self.kind == "area" else text.strip()
        if not text:
            return None
        if self.kind == "lines":
            return [line.strip() for line in text.splitlines() if line.strip()]
        return int(text) if self.kind == "number" and _NUMBER.fullmatch(text) else text


def values_of(spec: Object, fields: Sequence[SpecField]) -> dict[str, str]:
    """Return the values of a spec by the names of the form."""
    return {field.path: field.shown(value_at(spec, field.path)) for field in fields}


def value_at(spec: Object, path: str) -> Any:
    """Return the value at a path, None where there is none."""
    value: Any = spec
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def patch_of(form: Mapping[str, str], fields: Sequence[SpecField]) -> Object:
    """Return the merge patch of a form's fields; fields that the form does not have are not in it."""
    patch: Object = {}
    for field in fields:
        if field.path not in form:
            continue
        *parents, last = field.path.split(".")
        part = patch
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = field.parsed(form[field.path])
    return patch


def without_unchanged(patch: Object, spec: Object) -> Object:
    """Return a patch without what the spec has already."""
    left: Object = {}
    for name, value in patch.items():
        stored = spec.get(name)
        if isinstance(value, dict):
            if part := without_unchanged(value, stored if isinstance(stored, dict) else {}):
                left[name] = part
        elif value != stored:
            left[name] = value
    return left
