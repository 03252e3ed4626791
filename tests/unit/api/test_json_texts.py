"""JSON as text: members with their texts, and texts as they rest in an object."""

import json
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_api.agent_protocol import read_task, write_task
from sympozium_api.agent_records import Task
from sympozium_api.json_members import compact, join_members, member_texts
from sympozium_api.json_text import MAX_PLAIN_BYTES, JsonText, json_text

SPACE = st.text(" \t\r\n", max_size=3)
NUMBERS = st.sampled_from(["0", "-0", "1.0", "1e3", "1E-2", "1.50", "9" * 30, "-1e400"])
STRINGS = st.text(max_size=8).map(json.dumps) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(
    compact
)


def _spaced(parts: list[str], opening: str, closing: str, spaces: str) -> str:
    return opening + spaces + f"{spaces},{spaces}".join(parts) + spaces + closing


def _name(pair: tuple[str, str]) -> str:
    return str(json.loads(pair[0]))


def _members(pairs: list[tuple[str, str]]) -> list[str]:
    return [f"{name}:{value}" for name, value in pairs]


VALUES = st.recursive(
    NUMBERS | STRINGS | st.sampled_from(["true", "false", "null"]),
    lambda inner: (
        st.builds(_spaced, st.lists(inner, max_size=3), st.just("["), st.just("]"), SPACE)
        | st.builds(
            _spaced,
            st.lists(st.tuples(STRINGS, inner), max_size=3, unique_by=_name).map(_members),
            st.just("{"),
            st.just("}"),
            SPACE,
        )
    ),
    max_leaves=8,
)


@given(pairs=st.lists(st.tuples(STRINGS, VALUES), max_size=5, unique_by=_name), spaces=SPACE)
def test_each_member_has_the_text_it_was_written_with(pairs: list[tuple[str, str]], spaces: str) -> None:
    written = [f"{name}{spaces}:{spaces}{value}" for name, value in pairs]
    text = spaces + _spaced(written, "{", "}", spaces) + spaces
    found = member_texts(text)
    assert found == {json.loads(name): value for name, value in pairs}
    assert list(found) == list(json.loads(text))
    assert member_texts(join_members(found)) == found


@given(text=st.text(max_size=20) | VALUES | VALUES.map(lambda text: text[:-1]) | VALUES.map(lambda text: text + ","))
def test_what_is_no_object_for_json_is_none_here(text: str) -> None:
    try:
        is_object = isinstance(json.loads(text), dict)
    except ValueError:
        is_object = False
    try:
        member_texts(text)
    except ValueError:
        assert not is_object
    else:
        assert is_object


@given(request=st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_a_task_brings_its_request_as_it_is(request: dict[str, str]) -> None:
    task: Task = {
        "run": "r",
        "request": request,
        "model": {"baseURL": "http://m", "headers": {}},
        "env": {"A": "ł"},
        "timeoutSeconds": 5.0,
    }
    assert read_task(write_task(task)) == task


def test_agents_of_the_version_before_find_an_object_in_their_task() -> None:
    task: Task = {
        "run": "r",
        "request": {"model": '"m"', "n": "1.0"},
        "model": {"baseURL": "http://m", "headers": {}},
        "env": {},
        "timeoutSeconds": 5.0,
    }
    assert json.loads(write_task(task)) == {**task, "request": {"model": "m", "n": 1}}


def test_an_agent_takes_the_task_of_a_replica_of_the_version_before() -> None:
    told = {"run": "r", "request": {"model": "m", "messages": [{"role": "user", "content": "ł"}]}, "env": {"A": "b"}}
    task = read_task(json.dumps(told))
    assert {name: json.loads(text) for name, text in task["request"].items()} == told["request"]
    assert (task["run"], task["env"]) == ("r", {"A": "b"})


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=100), plain_bytes=st.integers(0, 100))
def test_a_text_is_read_as_it_was_kept(text: str, plain_bytes: int) -> None:
    kept = json_text(text, plain_bytes=plain_bytes, packed_bytes=4096).field
    assert JsonText.model_validate(kept).read("spec.requestText") == text


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("x" * MAX_PLAIN_BYTES, "json"),
        ("x" * (MAX_PLAIN_BYTES + 1), "gzip"),
        ('"' * (MAX_PLAIN_BYTES // 2 + 1), "gzip"),
        ("<" * (MAX_PLAIN_BYTES // 6 + 1), "gzip"),
        (secrets.token_hex(MAX_PLAIN_BYTES), "parts"),
        ("x" * (2 * 1024 * 1024 + 1), "parts"),
    ],
)
def test_a_text_is_plain_as_long_as_it_takes_little_where_it_is_stored(text: str, form: str) -> None:
    assert set(json_text(text).field) == {form, "bytes", "sha256"}


def test_half_a_surrogate_pair_is_written_in_ascii() -> None:
    value: Any = {"a": "\ud83d", "é": 1.0}
    assert compact(value).isascii()
    assert json.loads(compact(value)) == value
