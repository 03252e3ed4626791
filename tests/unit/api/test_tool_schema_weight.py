"""The work of checking a tool's arguments, which a schema of a few lines could make endless."""

import json
import time
from typing import Any

import pytest

from sympozium_api.tool_schema import Parameters, SchemaError


def doubled(parts: int, place: str) -> str:
    """Return a schema each of whose parts refers to the next one twice."""
    twice = [{"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(parts)]
    defs = {str(n): part if place == "here" else {"properties": {"a": part}} for n, part in enumerate(twice)}
    return json.dumps({"type": "object", "$ref": "#/$defs/0", "$defs": {**defs, str(parts): {}}})


def test_a_schema_whose_parts_double_one_another_is_refused() -> None:
    with pytest.raises(SchemaError, match="too often"):
        Parameters(doubled(24, "here"))


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


TREE = '{"type":"object","properties":{"value":{"type":"number"},"nodes":{"type":"array","items":{"$ref":"#"}}}}'
ANY = (
    '{"type":"object","properties":{"a":{"$ref":"#/$defs/any"}},"$defs":{"any":{"anyOf":[{"type":["string","null"]},'
    '{"type":"array","items":{"$ref":"#/$defs/any"}},{"type":"object","additionalProperties":{"$ref":"#/$defs/any"}}]}}}'
)


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (doubled(24, "below"), nested(24)),
        (
            '{"type":"object","properties":{"a":{"items":{"anyOf":[' + ",".join(['{"type":"string"}'] * 1400) + "]}}}}",
            {"a": [1] * 20_000},
        ),
        (
            json.dumps({"type": "object", "properties": {"a": {"items": {"required": [str(n) for n in range(3000)]}}}}),
            {"a": [{}] * 80_000},
        ),
    ],
)
def test_arguments_that_would_take_long_are_refused_without_a_check(schema: str, arguments: dict[str, Any]) -> None:
    began = time.process_time()
    assert "too large" in str(Parameters(schema).failure(arguments))
    assert time.process_time() - began < 2


def test_the_first_flaw_ends_a_check() -> None:
    schema = Parameters(
        '{"type":"object","properties":{"a":{"items":{"anyOf":[' + ",".join(['{"type":"string"}'] * 100) + "]}}}}"
    )
    began = time.process_time()
    assert str(schema.failure({"a": [1] * 1000})).startswith("arguments.a[0]:")
    assert time.process_time() - began < 0.5, "all flaws of all items take seconds"


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (TREE, {"nodes": [{"nodes": [{"nodes": [{"value": 1}] * 50}] * 50}] * 2}),
        (ANY, {"a": {"b": [{"c": [[["x"]]]}] * 1000}}),
        ('{"type":"object","properties":{"a":{"$ref":"#name"}},"$defs":{"x":{"$anchor":"name","type":"number"}}}', {}),
        ('{"type":"object","properties":{"$id":{"type":"string"}}}', {"$id": "x"}),
        ('{"type":"object"}', nested(200)),
    ],
)
def test_ordinary_schemas_are_light(schema: str, arguments: dict[str, Any]) -> None:
    assert Parameters(schema).failure(arguments) is None


def test_half_a_surrogate_pair_is_told() -> None:
    schema = Parameters('{"type":"object","properties":{"a":{"pattern":"^x"}}}')
    assert schema.failure({"a": "\ud800"}) == "arguments: not valid Unicode"
