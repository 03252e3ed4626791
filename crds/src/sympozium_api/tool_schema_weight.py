"""Weight of a tool's schema: how much work it is to check one byte of arguments. Pure.

A few lines of schema can mean hours of work, where parts refer to others twice and these to others twice. Nobody can stop a check that
has begun, so that it is not begun where size of the arguments and weight of the schema together are too much.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote

Schema = dict[str, Any]

_ENTRIES_PER_STEP = 4
"""Entries of a list or map, such as names that are required, that take as long as a subschema."""
_LISTS_HERE = ("allOf", "anyOf", "oneOf")
_ONES_HERE = ("not", "if", "then", "else")
_MAPS_HERE = ("dependentSchemas", "dependencies")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_OF_ITEMS = ("items", "additionalItems", "contains", "unevaluatedItems")
_OF_PROPERTIES = ("additionalProperties", "propertyNames", "unevaluatedProperties")
_SECOND_LOOK = ("unevaluatedItems", "unevaluatedProperties")


class WeightUnknown(ValueError):
    """A schema whose parts cannot be counted. The message says why."""


class _Steps(NamedTuple):
    """Steps that one value means: of itself, and of what is within it, if it is a list or an object."""

    here: int
    in_list: int
    in_object: int

    @property
    def all(self) -> int:
        return self.here + max(self.in_list, self.in_object)


class SchemaWeight:
    """Weight of a schema for arguments of each depth. Methods raise WeightUnknown."""

    def __init__(self, schema: Schema) -> None:
        self._root = schema
        self._ids = ("$id", "id") if "draft-04" in str(schema.get("$schema")) else ("$id",)
        self._known: dict[tuple[int, int], _Steps | None] = {}
        """Steps by subschema and depth; None while they are being counted."""

    def at(self, depth: int) -> int:
        """Return the most steps that one part of arguments with ``depth`` levels below it means."""
        try:
            return self._of(self._root, depth)
        except RecursionError:
            raise WeightUnknown("nested too deeply") from None

    def _of(self, schema: Any, depth: int) -> int:
        return self._steps(schema, depth).all if isinstance(schema, dict) and depth >= 0 else 1

    def _steps(self, schema: Any, depth: int) -> _Steps:
        if not isinstance(schema, dict):
            return _Steps(1, 0, 0)
        key = (id(schema), depth)
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._counted(schema, depth)
        if (steps := self._known[key]) is None:
            raise WeightUnknown("a $ref leads back to itself")
        return steps

    def _counted(self, schema: Schema, depth: int) -> _Steps:
        if schema is not self._root and any(isinstance(schema.get(name), str) for name in self._ids):
            raise WeightUnknown("$id is only allowed at the top")
        lengths = sum(len(value) for value in schema.values() if isinstance(value, dict | list))
        parts = [self._steps(part, depth) for part in self._here(schema)]
        here = 1 + lengths // _ENTRIES_PER_STEP + sum(part.here for part in parts)
        in_list = sum(part.in_list for part in parts) + self._in_list(schema, depth - 1)
        in_object = sum(part.in_object for part in parts) + self._in_object(schema, depth - 1)
        times = 2 if any(name in schema for name in _SECOND_LOOK) else 1
        return _Steps(here * times, in_list * times, in_object * times)

    def _here(self, schema: Schema) -> Iterable[Any]:
        """Yield the subschemas that check the same value."""
        for name in _LISTS_HERE:
            yield from _items(schema.get(name))
        yield from (schema[name] for name in _ONES_HERE if name in schema)
        for name in _MAPS_HERE:
            yield from _values(schema.get(name))
        yield from (self._target(schema[name]) for name in _REFERENCES if isinstance(schema.get(name), str))

    def _in_list(self, schema: Schema, depth: int) -> int:
        first = [*_items(schema.get("prefixItems")), *_items(schema.get("items"))]
        return self._most(first, depth) + self._sum(schema, _OF_ITEMS, depth)

    def _in_object(self, schema: Schema, depth: int) -> int:
        patterns = sum(self._of(part, depth) for part in _values(schema.get("patternProperties")))
        return (
            self._most(_values(schema.get("properties")), depth) + patterns + self._sum(schema, _OF_PROPERTIES, depth)
        )

    def _most(self, schemas: Iterable[Any], depth: int) -> int:
        return max((self._of(schema, depth) for schema in schemas), default=0)

    def _sum(self, schema: Schema, keywords: Iterable[str], depth: int) -> int:
        return sum(self._of(schema[name], depth) for name in keywords if isinstance(schema.get(name), dict))

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise WeightUnknown("a $ref must stay within the schema (#/$defs/...)")
        pointer = unquote(reference[1:])
        if pointer and not pointer.startswith("/"):
            return _anchored(self._root, pointer)
        found: Any = self._root
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(name)] if isinstance(found, list) else found[name]
            except (LookupError, ValueError, TypeError):
                raise WeightUnknown("a $ref leads nowhere") from None
        return found


def _anchored(root: Schema, anchor: str) -> Any:
    """Return the subschema with an anchor."""
    waiting: list[Any] = [root]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict) and any(found.get(name) == anchor for name in _ANCHORS):
            return found
        waiting += _values(found) or _items(found)
    raise WeightUnknown("a $ref leads nowhere")


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []
