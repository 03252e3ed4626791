"""Checks an object against the schema in a CustomResourceDefinition, as far as the API server does without CEL; and
refuses fields that the schema does not know, which the API server would drop with a warning.
"""

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
_OPEN = "x-kubernetes-preserve-unknown-fields"


def violations(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Give the violations of a value, each beginning with the path of the field at fault."""
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path}: not of type {kind}"
    elif isinstance(value, dict):
        yield from _in_object(value, schema, path)
    elif isinstance(value, list):
        yield from _out_of_bounds(len(value), schema.get("minItems"), schema.get("maxItems"), path)
        for index, item in enumerate(value):
            yield from violations(item, schema.get("items", {}), f"{path}[{index}]")
    elif isinstance(value, str):
        yield from _out_of_bounds(len(value), schema.get("minLength"), schema.get("maxLength"), path)
        if not matches_in_go(schema.get("pattern", ""), value):
            yield f"{path}: does not match {schema['pattern']}"
    elif value is not None and not isinstance(value, bool):
        yield from _out_of_bounds(value, schema.get("minimum"), schema.get("maximum"), path)
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: not one of {schema['enum']}"


def _in_object(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    yield from (f"{path}.{name}: required" for name in schema.get("required", []) if name not in value)
    yield from _out_of_bounds(len(value), schema.get("minProperties"), schema.get("maxProperties"), path)
    for name, part in value.items():
        if name in known:
            yield from violations(part, known[name], f"{path}.{name}")
        elif others is not None:
            yield from violations(part, others, f"{path}.{name}")
        elif not schema.get(_OPEN) and path + name != "metadata" and not path.startswith(".metadata"):
            yield f"{path}.{name}: unknown"


def pattern_of(schema: dict[str, Any]) -> str | None:
    """Return the pattern that a text has to match: the schema's own, or that of a CEL rule, which has words of its own."""
    expressions = (rule["rule"] for rule in schema.get("x-kubernetes-validations", ()))
    found = (re.fullmatch(r"self\.matches\(r'(.*)'\)", expression) for expression in expressions)
    return schema.get("pattern") or next((match[1] for match in found if match), None)


def matches_in_go(pattern: str, text: str) -> bool:
    """Return whether the API server finds a pattern in a text: its classes are ASCII, and ``$`` is the end of the text."""
    found = re.search(pattern, text, re.ASCII)
    return found is not None and not (pattern.endswith("$") and found.end() != len(text))


def _out_of_bounds(size: float, least: float | None, most: float | None, path: str) -> Iterator[str]:
    if least is not None and size < least:
        yield f"{path}: less than {least}"
    if most is not None and size > most:
        yield f"{path}: more than {most}"
