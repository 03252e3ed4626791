"""Strategies that make what the API server stores under a CRD's schema, read from the generated CRDs.

The API server reads patterns with Go's engine, in which classes are ASCII and ``$`` is the end of the text. So these values
hold characters that Python's and Rust's engines class otherwise.
"""

import functools
import re
from typing import Any

from hypothesis import strategies as st
from tests.contract.crd_schema import matches_in_go, pattern_of
from tests.fakes import crd_admission

from sympozium_api.generate.crds import KINDS, definition
from sympozium_api.resources import Object

Strategy = st.SearchStrategy[Any]

CHARACTERS = st.characters(exclude_categories=["Cs"])
"""Characters that UTF-8, and so the API server, can hold."""
TRAPS = "\u00a0\u0085\u2028\u3000\u200b\u0660\u0131\u017f\u212a\u0000\n\r\t \u00e4"
"""Spaces, digits and letters to some engine; and controls."""
DURATIONS = ("1s", "30s", "10m", "24h", "1h30m", "0h0m1s", "0000000000000000060s")

_LONGEST = 24
_SAFE_INTEGER = 2**53
_OPEN = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"

json_values: Strategy = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(CHARACTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARACTERS, max_size=8), inner, max_size=3),
    max_leaves=8,
)
"""Anything that JSON can say."""

timestamps: Strategy = st.sampled_from(
    [
        *("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.999999999Z", "2026-01-01t00:00:00z", "0000-01-01T00:00:00Z"),
        *("9999-12-31T23:59:59-14:00", "2026-01-01T23:59:59+99:99", "2026-01-01T00:00:00,5Z", "2026-02-28T24:60:60Z"),
    ]
)
"""Texts of format ``date-time`` in the API server's reading, which is generous."""


@functools.cache
def part(plural: str, name: str) -> Strategy:
    """Return values of ``spec`` or ``status`` of a kind, e.g. of ``agentruns``."""
    return values(_schema(plural)["properties"][name])


@functools.cache
def _schema(plural: str) -> Object:
    [found] = [definition(kind)["spec"]["versions"][0] for kind in KINDS if kind.plural == plural]
    schema: Object = found["schema"]["openAPIV3Schema"]
    return schema


def values(schema: Object) -> Strategy:
    """Return values that a schema and its CEL rules accept, with the schema's defaults."""
    found = _unruled(schema).map(lambda value: crd_admission.defaulted(value, schema))
    if _RULES not in schema:
        return found
    own = {"type": schema["type"], _RULES: schema[_RULES]}  # the rules of its parts hold already
    return found.filter(lambda value: not any(crd_admission.broken_rules(value, None, own)))


def _unruled(schema: Object) -> Strategy:  # noqa: PLR0911 - one case per type
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", -_SAFE_INTEGER), schema.get("maximum", _SAFE_INTEGER))
        case "number":
            return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False)
        case "string":
            return texts(schema)
        case "array":
            return _lists(schema)
    if schema.get(_OPEN):
        return st.dictionaries(st.text(CHARACTERS, max_size=8), json_values, max_size=3)
    if "additionalProperties" in schema:
        keys = st.text(CHARACTERS, max_size=8)
        return st.dictionaries(keys, values(schema["additionalProperties"]), max_size=3)
    fields = {name: values(field) for name, field in schema.get("properties", {}).items()}
    needed = schema.get("required", [])
    return st.fixed_dictionaries(
        {name: fields[name] for name in needed},
        optional={name: field for name, field in fields.items() if name not in needed},
    )


def texts(schema: Object) -> Strategy:
    """Return texts within a schema's length, format and pattern."""
    if schema.get("format") == "date-time":
        return timestamps
    least, most = schema.get("minLength", 0), schema.get("maxLength", _LONGEST)
    if (pattern := pattern_of(schema)) is None:
        size = {"min_size": least, "max_size": max(least, min(most, _LONGEST))}
        return st.text(CHARACTERS, **size) | st.text(TRAPS, **size)
    if any("duration(self)" in rule["rule"] for rule in schema.get(_RULES, ())):
        return st.sampled_from(DURATIONS)
    expression = re.compile(pattern, re.ASCII)
    plain = st.from_regex(expression, alphabet=CHARACTERS)
    trapped = st.builds(_with_trap, plain, st.integers(0, 300), st.sampled_from(TRAPS))
    return (plain | trapped).filter(lambda text: least <= len(text) <= most and matches_in_go(pattern, text))


def _with_trap(text: str, at: int, trap: str) -> str:
    return text[:at] + trap + text[at:]


def _lists(schema: Object) -> Strategy:
    least, most = schema.get("minItems", 0), min(schema.get("maxItems", 3), 3)
    keys = schema.get("x-kubernetes-list-map-keys")
    unique_by = (lambda item: tuple(item[key] for key in keys)) if keys else None
    return st.lists(values(schema["items"]), min_size=least, max_size=max(least, most), unique_by=unique_by)
