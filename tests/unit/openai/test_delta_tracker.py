"""The rest of a message after its stream broke."""

from typing import Any

import pytest

from sympozium_openai.delta_tracker import DeltaTracker

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Rome"}'}}
WHOLE: dict[str, Any] = {
    "role": "assistant",
    "content": "It is sunny.",
    "refusal": None,
    "reasoning_content": "Hm, let me see.",
    "tool_calls": [CALL, CALL | {"id": "c2"}],
    "annotations": [{"type": "url_citation"}],
}


def first_piece(index: int) -> dict[str, Any]:
    return {"index": index, "id": f"c{index + 1}", "type": "function", "function": {"name": "f", "arguments": ""}}


DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "content": ""},
    {"reasoning_content": "Hm, let"},
    {"reasoning_content": " me see."},
    {"content": "It is"},
    {"content": " sunny."},
    {"tool_calls": [first_piece(0)]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": ' "Rome"}'}}]},
    {"tool_calls": [first_piece(1)]},
    {"tool_calls": [{"index": 1, "function": {"arguments": '{"city": "Rome"}'}}]},
    {"annotations": [{"type": "url_citation"}]},
]


@pytest.mark.parametrize("arrived", range(len(DELTAS) + 1))
def test_wherever_a_stream_breaks_the_caller_gets_each_part_once(arrived: int) -> None:
    sent = DeltaTracker()
    for delta in DELTAS[:arrived]:
        sent.add(delta)
    got = [*DELTAS[:arrived], sent.rest(WHOLE)]

    def joined(key: str) -> str:
        return "".join(delta.get(key) or "" for delta in got)

    calls: dict[int, list[str]] = {}
    for call in (call for delta in got for call in delta.get("tool_calls", [])):
        piece = calls.setdefault(call["index"], ["", "", ""])
        piece[0] += call.get("id", "")
        piece[1] += call.get("function", {}).get("name", "")
        piece[2] += call.get("function", {}).get("arguments", "")
    assert (joined("role"), joined("content"), joined("reasoning_content")) == (
        "assistant",
        "It is sunny.",
        "Hm, let me see.",
    )
    assert calls == {n: [f"c{n + 1}", "f", CALL["function"]["arguments"]] for n in range(2)}  # type: ignore[index]
    assert sum("annotations" in delta for delta in got) == 1


def test_a_field_that_changes_its_type_breaks_nothing() -> None:
    sent = DeltaTracker()
    for odd in ({"content": "a"}, {"content": {"b": "c"}}, {"tool_calls": "x"}, {"tool_calls": [7, {"index": "y"}]}):
        sent.add(odd)
    assert sent.rest({"content": "ab", "tool_calls": [{"id": "z"}, 7]}) == {
        "content": "b",
        "tool_calls": [{"index": 0, "id": "z"}],
    }
