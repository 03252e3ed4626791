"""JSON Schemas of tools' parameters: checked once, then used to check a call's arguments. Nothing is ever fetched."""

import json
from typing import Any

import jsonschema_rs

from sympozium_api.json_members import compact
from sympozium_api.tool import MAX_PARAMETERS_BYTES, ToolSpec
from sympozium_api.tool_schema_weight import SchemaWeight, WeightUnknown

NO_PARAMETERS = '{"type":"object","properties":{},"additionalProperties":false}'
_FETCH_URL = (
    '{"type":"object","properties":{"url":{"type":"string","minLength":1,"maxLength":2048,'
    '"description":"Address of the page, with http:// or https://"}},"required":["url"],"additionalProperties":false}'
)
_BUILTIN = {"fetch_url": _FETCH_URL}
MAX_SCHEMA_DEPTH = 128
"""Most levels of objects and arrays in a schema: writers of JSON give up at twice as many."""
_REGEX_BYTES = 1024 * 1024
"""Most memory of a compiled pattern. The engine takes linear time, so that no argument can make a pattern slow."""
_MOST_STEPS = 20_000_000
"""Most work of a check, in bytes of the arguments times the weight of the schema: about half a second."""
_MOST_WEIGHT = 100_000
_FLAT = 4
"""Levels of arguments for which a schema's weight must be below ``_MOST_WEIGHT``."""
_DEEPEST = 32
"""Most levels of arguments whose schema refers to itself."""


class SchemaError(ValueError):
    """A schema that cannot hold. The message says why and holds nothing of the schema but a keyword's path."""


class Parameters:
    """A tool's parameters: their schema, ready to check arguments."""

    def __init__(self, text: str) -> None:
        """Parse a schema's JSON text. Raises SchemaError."""
        self.text = text
        schema = _parsed(text)
        self._validator = _validator(schema)
        self._weight = _weight(schema)

    def failure(self, arguments: dict[str, Any]) -> str | None:
        """Return the first reason why arguments break the schema, without their values; None if they keep it."""
        if self._is_too_much(arguments):
            return "arguments: too large, or nested too deeply, to be checked against the tool's schema"
        try:
            self._validator.validate(arguments)
        except jsonschema_rs.ValidationError as error:
            place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
            return f"arguments{place}: {error.message}"[:500]
        except ValueError:  # half a surrogate pair
            return "arguments: not valid Unicode"
        return None

    def _is_too_much(self, arguments: dict[str, Any]) -> bool:
        size = len(compact(arguments))
        if size * self._weight.at(_DEEPEST) <= _MOST_STEPS:
            return False
        levels = depth(arguments)
        grows = levels > _DEEPEST and self._weight.at(_DEEPEST) > self._weight.at(_DEEPEST - 1)
        return grows or size * self._weight.at(min(levels, _DEEPEST)) > _MOST_STEPS


def parameters_text(spec: ToolSpec) -> str:
    """Return the JSON text of a Tool's schema, as the model is told it."""
    if spec.parameters_text is not None:
        return spec.parameters_text
    if spec.parameters is not None:
        return compact(spec.parameters)
    return _BUILTIN.get(spec.builtin.name, NO_PARAMETERS) if spec.builtin else NO_PARAMETERS


def builtin_parameters(name: str) -> str:
    """Return the JSON text of a built-in tool's schema."""
    return _BUILTIN[name]


def _parsed(text: str) -> dict[str, Any]:
    if len(text.encode(errors="replace")) > MAX_PARAMETERS_BYTES:
        raise SchemaError(f"longer than {MAX_PARAMETERS_BYTES} bytes")
    try:
        schema = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise SchemaError("nested too deeply") from None
    except ValueError:
        raise SchemaError("not JSON") from None
    if not isinstance(schema, dict):
        raise SchemaError("not a JSON object")
    if depth(schema) > MAX_SCHEMA_DEPTH:
        raise SchemaError("nested too deeply")
    if schema.get("type") != "object":
        raise SchemaError("its type must be object")
    return schema


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    patterns = jsonschema_rs.RegexOptions(size_limit=_REGEX_BYTES, dfa_size_limit=_REGEX_BYTES)
    try:
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=patterns, mask="a value")
    except jsonschema_rs.ValidationError as error:
        if "retrieving it failed" in error.message:
            raise SchemaError("a $ref must stay within the schema (#/$defs/...)") from None
        place = ".".join(str(part) for part in error.instance_path)[:200]
        raise SchemaError(f"not a valid JSON Schema{f' at {place}' if place else ''}") from None
    except (ValueError, jsonschema_rs.ReferencingError):
        raise SchemaError("not a valid JSON Schema") from None


def _weight(schema: dict[str, Any]) -> SchemaWeight:
    weight = SchemaWeight(schema)
    try:
        if weight.at(_FLAT) > _MOST_WEIGHT:
            raise SchemaError("its parts refer to one another too often")
        weight.at(_DEEPEST)
    except WeightUnknown as error:
        raise SchemaError(str(error)) from None
    return weight


def depth(value: dict[str, Any]) -> int:
    """Return the number of levels of objects and arrays in an object, itself among them."""
    level: list[Any] = [value]
    levels = -1
    while level:
        levels += 1
        level = [
            each
            for value in level
            for each in (value.values() if isinstance(value, dict) else value)
            if isinstance(each, dict | list)
        ]
    return levels + 1
