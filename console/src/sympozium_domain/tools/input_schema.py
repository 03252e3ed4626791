"""Schemas of tools' arguments as callers send them: a JSON Schema of type object whose properties are Python identifiers. Pure."""

from collections.abc import Iterator
from typing import Any

from sympozium_api.json_members import compact
from sympozium_api.resources import Object
from sympozium_api.tool_schema import Parameters, SchemaError
from sympozium_domain.tools.wrong_field import WrongField

_FIELD = "input_schema"
_OF_ONE = ("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
_OF_ONE_TOO = ("unevaluatedItems", "unevaluatedProperties")
_OF_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_OF_NAMES = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
"""Keywords whose values hold schemas: one, a list of them, or an object of them. Values of the others are data."""


def schema_text(schema: Object) -> str:
    """Return the JSON text that a Tool keeps of a schema, in the caller's order. A schema without a type gets the type object.

    Raises WrongField.
    """
    text = compact(schema if "type" in schema else {"type": "object", **schema})
    try:
        Parameters(text)
    except SchemaError as error:
        raise WrongField(_FIELD, f"must be a JSON Schema of the arguments of a call: {error}") from None
    for name in _property_names(schema):
        if not name.isidentifier():
            message = f"names of properties must be Python identifiers, such as city_name; {name[:64]!r} is none"
            raise WrongField(_FIELD, message)
    return text


def _property_names(schema: Any) -> Iterator[str]:
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            properties = each.get("properties")
            yield from properties if isinstance(properties, dict) else ()
            waiting += [each[keyword] for keyword in (*_OF_ONE, *_OF_ONE_TOO, *_OF_MANY) if keyword in each]
            named = [each[keyword] for keyword in _OF_NAMES if isinstance(each.get(keyword), dict)]
            waiting += [value for group in named for value in group.values()]
