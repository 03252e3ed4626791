"""YAML as objects are read and written: what JSON has, and nothing else."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_console import yaml_documents
from sympozium_console.yaml_documents import InvalidYaml

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
)


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert yaml_documents.load(yaml_documents.dump(value)) == value


@given(st.binary(max_size=60) | st.text("&*![]{}<>?:-|'\"# \n\ta1.", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(InvalidYaml):
        yaml_documents.load(content)


def test_a_text_that_looks_like_a_date_stays_a_text() -> None:
    assert yaml_documents.load(b"at: 2026-11-29\nwhen: 2026-11-29T10:00:00Z") == {
        "at": "2026-11-29",
        "when": "2026-11-29T10:00:00Z",
    }


@pytest.mark.parametrize(
    "content", [b"a: &x [1]\nb: [*x, *x]", b"x: &x\n  y: *x", b"[" * 101, b"a: .inf", b"a: !!set {b}"]
)
def test_what_json_does_not_have_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidYaml):
        yaml_documents.load(content)


@pytest.mark.parametrize("piece", [b"[],", b"1,", b"a", b"{a: 1},"])
def test_a_document_of_very_many_values_is_refused_before_they_take_memory(piece: bytes) -> None:
    separator = b", " if piece == b"a" else b""
    few, many = (b"[" + separator.join([piece] * number) + b"]" for number in (5_000, 30_000))
    assert len(yaml_documents.load(few)) == 5_000
    with pytest.raises(InvalidYaml, match="line 1: it has more than 20000 keys and values; send it as JSON"):
        yaml_documents.load(many)


def test_a_value_is_written_unless_it_has_very_many_keys_and_values() -> None:
    assert yaml_documents.is_small({"a": ["x" * 1_000_000, {"b": None}]})
    assert not yaml_documents.is_small([[]] * 20_000)
    assert not yaml_documents.is_small({str(number): number for number in range(10_000)})


def test_half_a_surrogate_pair_is_a_question_mark() -> None:
    assert yaml_documents.dump({"a": "\ud800"}) == b"a: '?'\n"
