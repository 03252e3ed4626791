"""Schemas of tools' arguments, as callers of the agent platform API send them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_api.tool_schema import Parameters
from sympozium_domain.tools.input_schema import schema_text
from sympozium_domain.tools.wrong_field import WrongField

KEYWORDS = ("type", "properties", "items", "allOf", "$ref", "enum", "default", "required", "additionalProperties")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYWORDS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYWORDS) | st.text(max_size=4), VALUES, max_size=5))
def test_any_object_is_kept_in_its_order_or_refused(schema: dict[str, Any]) -> None:
    try:
        text = schema_text(schema)
    except WrongField:
        return
    kept = json.loads(text)
    assert kept == {"type": "object", **schema}
    Parameters(text)


def test_the_order_of_properties_is_the_callers() -> None:
    assert schema_text({"properties": {"b": {}, "a": {}}}) == '{"type":"object","properties":{"b":{},"a":{}}}'


@pytest.mark.parametrize(
    "place",
    [
        {"items": {"properties": {"no-name": {}}}},
        {"anyOf": [{"type": "string"}, {"properties": {"no-name": {}}}]},
        {"additionalProperties": {"properties": {"no-name": {}}}},
        {"$defs": {"city": {"properties": {"no-name": {}}}}},
    ],
)
def test_properties_are_found_wherever_a_schema_is(place: dict[str, Any]) -> None:
    with pytest.raises(WrongField, match="Python identifiers"):
        schema_text({"type": "object", "properties": {"city": place}})


@pytest.mark.parametrize("keyword", ["default", "enum", "const", "examples"])
def test_data_in_a_schema_may_have_any_names(keyword: str) -> None:
    data: Any = {"properties": {"no-name": {}}}
    schema_text(
        {"type": "object", "properties": {"città": {keyword: [data] if keyword in ("enum", "examples") else data}}}
    )
