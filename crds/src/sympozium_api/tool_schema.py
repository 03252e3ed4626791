"""JSON Schemas of tools' parameters: checked once, then used to check a call's arguments. Nothing is ever fetched."""

import json
from typing import Any

import jsonschema_rs

from sympozium_api.json_members import compact
from sympozium_api.tool import MAX_PARAMETERS_BYTES, ToolSpec

NO_PARAMETERS = '{"type":"object","properties":{},"additionalProperties":false}'
_FETCH_URL = (
    '{"type":"object","properties":{"url":{"type":"string","minLength":1,"maxLength":2048,'
    '"description":"Address of the page, with http:// or https://"}},"required":["url"],"additionalProperties":false}'
)
_BUILTIN = {"fetch_url": _FETCH_URL}
_REGEX_BYTES = 1024 * 1024
"""Most memory of a compiled pattern. The engine takes linear time, so that no argument can make a pattern slow."""


class SchemaError(ValueError):
    """A schema that cannot hold. The message says why and holds nothing of the schema but a keyword's path."""


class Parameters:
    """A tool's parameters: their schema, ready to check arguments."""

    def __init__(self, text: str) -> None:
        """Parse a schema's JSON text. Raises SchemaError."""
        self.text = text
        self._validator = _validator(_parsed(text))

    def failure(self, arguments: dict[str, Any]) -> str | None:
        """Return the first reason why arguments break the schema, without their values; None if they keep it."""
        error = next(iter(self._validator.iter_errors(arguments)), None)
        if error is None:
            return None
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
        return f"arguments{place}: {error.message}"[:500]


def parameters_text(spec: ToolSpec) -> str:
    """Return the JSON text of a Tool's schema, as the model is told it."""
    if spec.parameters_text is not None:
        return spec.parameters_text
    if spec.parameters is not None:
        return compact(spec.parameters)
    return builtin_parameters(spec.builtin.name) if spec.builtin else NO_PARAMETERS


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
