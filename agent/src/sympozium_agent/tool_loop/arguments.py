"""Arguments of a tool's call, checked before the call is sent. Pure.

The check is small: it refuses only what certainly breaks the schema, so that the model learns it without a request. The egress
guard checks the whole schema.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Schema = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_DEEPEST = 16
"""Levels of a schema that are looked at."""
_SHOWN = 8
"""Names of an enumeration or of missing arguments that a fault lists."""


def fault_of(text: str, schema_text: str) -> str | None:
    """Return the reason why arguments are not sent, for the model; None if they may be."""
    try:
        arguments = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except _NameTwice:
        return "the arguments have a name twice in one object"
    except (ValueError, RecursionError):
        return "the arguments are not JSON"
    if not isinstance(arguments, dict):
        return "the arguments are not a JSON object"
    try:
        schema = json.loads(schema_text)
    except (ValueError, RecursionError):
        return None
    return _fault(arguments, schema, "arguments", 0)


def _fault(value: Any, schema: Any, place: str, depth: int) -> str | None:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    if (types := _types(schema)) and not any(_is_of(value, name) for name in types):
        return f"{place} must be of type {' or '.join(types)}"
    if isinstance(allowed := schema.get("enum"), list) and not any(_same(value, each) for each in allowed):
        return f"{place} must be one of {json.dumps(allowed[:_SHOWN], ensure_ascii=False)}"
    if isinstance(value, dict):
        return _fault_of_object(value, schema, place, depth)
    if isinstance(value, list) and isinstance(items := schema.get("items"), dict) and "prefixItems" not in schema:
        return _first(_fault(item, items, f"{place}[{number}]", depth + 1) for number, item in enumerate(value))
    return None


def _fault_of_object(value: Schema, schema: Schema, place: str, depth: int) -> str | None:
    required, properties = schema.get("required"), schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    missing = [name for name in required if name not in value] if isinstance(required, list) else []
    if missing:
        return f"{place} lacks {', '.join(map(str, missing[:_SHOWN]))}"
    is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    if is_closed and any(name not in properties for name in value):
        known = ", ".join(list(properties)[:_SHOWN]) or "none"
        return f"{place} has a name that is not known; known are: {known}"
    return _first(
        _fault(value[name], inner, f"{place}.{name}", depth + 1) for name, inner in properties.items() if name in value
    )


def _types(schema: Schema) -> list[str]:
    """Return the types that a schema allows; none if one of them is not known here."""
    given = schema.get("type")
    names = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    return names if all(name in _TYPES for name in names) else []


def _is_of(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _TYPES[name])


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _first(faults: Any) -> str | None:
    return next((fault for fault in faults if fault), None)


class _NameTwice(Exception):
    """An object with two members of one name, which the egress guard refuses."""


def _object(members: list[tuple[str, Any]]) -> Schema:
    made = dict(members)
    if len(made) < len(members):
        raise _NameTwice
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
