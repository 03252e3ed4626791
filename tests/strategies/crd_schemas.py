"""Strategies that make what the API server stores under a CRD's schema, read from the generated CRDs.

The API server reads patterns with Go's engine, in which classes are ASCII and ``$`` is the end of the text. So these values
hold characters that Python's and Rust's engines class otherwise.
"""

import functools
import itertools
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
_BROKEN = object()
"""What stands for a value that its schema refuses."""

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
    return _attempts(schema).filter(lambda value: value is not _BROKEN)


def _attempts(schema: Object) -> Strategy:
    """Return values as ``values`` does, and ``_BROKEN`` in place of one that no mending makes valid.

    An optional field that is broken is left out, as an item of a list is. If each broken part rejected the whole object, as
    ``filter`` does, one object of five and one pair of three hundred would be left.
    """
    own = {"type": schema["type"], _RULES: schema.get(_RULES, [])}  # the rules of its parts hold already
    defaults = {name for name, field in schema.get("properties", {}).items() if "default" in field}
    optional = _named_by(own[_RULES]) - defaults - set(schema.get("required", ()))

    def finished(value: Any) -> Any:
        whole = _without_broken(value, schema)
        return _BROKEN if whole is _BROKEN else _mended(crd_admission.defaulted(whole, schema), own, optional)

    return _unruled(schema).map(finished)


def _without_broken(value: Any, schema: Object) -> Any:
    if isinstance(value, list):
        left = [item for item in value if item is not _BROKEN]
        return left if len(left) >= schema.get("minItems", 0) else _BROKEN
    if isinstance(value, dict):
        found = {name: field for name, field in value.items() if field is not _BROKEN}
        return found if set(schema.get("required", ())) <= set(found) else _BROKEN
    return value


def _mended(value: Any, own: Object, optional: frozenset[str]) -> Any:
    """Return a value without the fewest optional fields that make it break rules, if that is enough; else ``_BROKEN``."""
    droppable = [name for name in value if name in optional] if isinstance(value, dict) else []
    for count in range(len(droppable) + 1):
        for dropped in itertools.combinations(droppable, count):
            less = {name: field for name, field in value.items() if name not in dropped} if dropped else value
            if not any(crd_admission.broken_rules(less, None, own)):
                return less
    return _BROKEN


def _named_by(rules: list[Object]) -> frozenset[str]:
    """Return the fields whose presence rules speak of, other than rules of changes."""
    own = [rule["rule"] for rule in rules if "oldSelf" not in rule["rule"]]
    return frozenset(name for rule in own for name in re.findall(r"has\(self\.(\w+)\)", rule))


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
        return st.dictionaries(keys, _attempts(schema["additionalProperties"]), max_size=3)
    fields = {name: _attempts(field) for name, field in schema.get("properties", {}).items()}
    needed = schema.get("required", [])
    return st.fixed_dictionaries(
        {name: fields[name] for name in needed},
        optional={name: field for name, field in fields.items() if name not in needed},
    )


def texts(schema: Object) -> Strategy:
    """Return texts within a schema's length, format and pattern, and ``_BROKEN`` in place of one that is not."""
    if schema.get("format") == "date-time":
        return timestamps
    least, most = schema.get("minLength", 0), schema.get("maxLength", _LONGEST)
    if (pattern := pattern_of(schema)) is None:
        size = {"min_size": least, "max_size": max(least, min(most, _LONGEST))}
        return st.text(CHARACTERS, **size) | st.text(TRAPS, **size)
    if any("duration(self)" in rule["rule"] for rule in schema.get(_RULES, ())):
        return st.sampled_from(DURATIONS)
    expression = re.compile(pattern, re.ASCII)

    def fits(text: str) -> bool:
        return least <= len(text) <= most and matches_in_go(pattern, text)

    def with_trap(text: str, at: int, trap: str) -> str:
        trapped = text[:at] + trap + text[at:]
        return trapped if fits(trapped) else text

    plain = st.from_regex(expression, alphabet=CHARACTERS).map(
        lambda text: text if fits(text) else text.removesuffix("\n")
    )
    trapped = st.builds(with_trap, plain, st.integers(0, 300), st.sampled_from(TRAPS))
    return (plain | trapped).map(lambda text: text if fits(text) else _BROKEN)


def _lists(schema: Object) -> Strategy:
    least, most = schema.get("minItems", 0), min(schema.get("maxItems", 3), 3)
    keys = schema.get("x-kubernetes-list-map-keys")
    unique_by = (lambda item: item if item is _BROKEN else tuple(item[key] for key in keys)) if keys else None
    return st.lists(_attempts(schema["items"]), min_size=least, max_size=max(least, most), unique_by=unique_by)
