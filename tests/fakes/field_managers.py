"""Merge patches, and server-side apply with the field managers that it needs. A list is one field."""

import copy
from typing import Any

from sympozium_api.resources import Object

Field = tuple[str, ...]
"""Path of a value that is no object."""

OTHERS = ""
"""Manager of what was written in another way than by apply."""
_IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


def merged(old: Object, patch: Object) -> Object:
    """Return an object with a JSON merge patch (RFC 7386) applied; lists are replaced as a whole."""
    found = copy.deepcopy(old)
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            before = found.get(key)
            found[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            found[key] = copy.deepcopy(value)
    return found


class FieldManagers:
    """The managers of one object's fields, from its first apply on."""

    def __init__(self, body: Object) -> None:
        self._fields: dict[str, set[Field]] = {OTHERS: set(_values(body))}

    def applied(self, old: Object, body: Object, manager: str) -> Object:
        """Return ``old`` with the fields of ``body``, and without those that only this manager had applied before."""
        values, before = _values(body), _values(old)
        released = self._fields.pop(manager, set()) - values.keys()
        self._take({path for path, value in values.items() if before.get(path) != value})
        kept = {path for fields in self._fields.values() for path in fields}
        self._fields[manager] = set(values)
        found = merged(old, body)
        for path in released - kept:
            _remove(found, path)
        return found

    def written(self, old: Object, body: Object) -> None:
        """Note who manages the fields after a write that was no apply."""
        before, after = _values(old), _values(body)
        self._take({path for path in before.keys() | after.keys() if before.get(path) != after.get(path)})
        self._fields.setdefault(OTHERS, set()).update(path for path in after if before.get(path) != after[path])

    def _take(self, changed: set[Field]) -> None:
        for fields in self._fields.values():
            fields.difference_update(changed)


def _values(body: Object, path: Field = ()) -> dict[Field, Any]:
    found: dict[Field, Any] = {}
    for name, value in body.items():
        if isinstance(value, dict) and value:
            found |= _values(value, (*path, name))
        elif (*path, name) not in _IDENTITY:
            found[*path, name] = value
    return found


def _remove(body: Object, path: Field) -> None:
    """Remove a field, and the objects that are empty without it."""
    name, *rest = path
    if rest and isinstance(body.get(name), dict):
        _remove(body[name], tuple(rest))
        if not body[name]:
            del body[name]
    elif not rest:
        body.pop(name, None)
