import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_agent.completion import CompletionAccumulator

Object = dict[str, Any]


def answer_of(*choices: Object) -> CompletionAccumulator:
    answer = CompletionAccumulator()
    for choice in choices:
        answer.add({"choices": [choice]})
    answer.close()
    return answer


def message_of(*deltas: Object) -> Object:
    [choice] = answer_of(*({"index": 0, "delta": delta} for delta in deltas)).choices()
    message: Object = choice["message"]
    return message


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """The text, cut anywhere, empty pieces included."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


texts = st.text(st.characters(), max_size=30)
calls = st.lists(
    st.tuples(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), texts),
    max_size=3,
    unique_by=lambda call: call[0],
)


@given(data=st.data(), content=texts, reasoning=texts, refusal=texts, tool_calls=calls)
def test_however_an_answer_is_cut_the_message_is_the_same(
    data: st.DataObject, content: str, reasoning: str, refusal: str, tool_calls: list[tuple[str, str, str]]
) -> None:
    fields = {"content": content, "reasoning_content": reasoning, "refusal": refusal}
    deltas: list[Object] = [{"role": "assistant"}]
    for name, text in fields.items():
        deltas += [{name: piece} for piece in data.draw(pieces(text))]
    for index, (identity, name, arguments) in enumerate(tool_calls):
        deltas.append(
            {"tool_calls": [{"index": index, "id": identity, "type": "function", "function": {"name": name}}]}
        )
        for piece in data.draw(pieces(arguments)):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    message = message_of(*deltas)
    assert {name: message[name] for name in fields} == fields
    assert [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls", [])
    ] == tool_calls


@given(data=st.data(), contents=st.lists(texts, min_size=1, max_size=4))
def test_choices_are_kept_apart_in_whatever_order_their_pieces_come(data: st.DataObject, contents: list[str]) -> None:
    queues = {index: data.draw(pieces(content)) for index, content in enumerate(contents)}
    answer = CompletionAccumulator()
    while queues:
        index = data.draw(st.sampled_from(sorted(queues)))
        answer.add({"choices": [{"index": index, "delta": {"content": queues[index].pop(0)}}]})
        queues = {index: left for index, left in queues.items() if left}
    answer.close()
    assert [choice["message"]["content"] for choice in answer.choices()] == contents


def test_an_answer_has_the_shape_of_a_chat_completion() -> None:
    answer = answer_of({"delta": {"content": "Hi"}}, {"index": 0, "delta": {}, "finish_reason": "length"})
    message = {"role": "assistant", "content": "Hi"}
    assert answer.choices() == [{"index": 0, "message": message, "finish_reason": "length"}]


@pytest.mark.parametrize("reason", ["IMAGE_SAFETY", "image_recitation", "IMAGE_PROHIBITED_CONTENT", "SAFETY"])
def test_what_a_filter_cut_is_not_taken_for_whole(reason: str) -> None:
    [choice] = answer_of({"delta": {"content": ""}, "finish_reason": reason}).choices()
    assert choice["finish_reason"] == "content_filter"


def test_logprobs_continue_from_chunk_to_chunk() -> None:
    first, second = ({"token": token, "logprob": -0.5, "top_logprobs": []} for token in "ab")
    [choice] = answer_of(
        {"delta": {"content": "a"}, "logprobs": {"content": [first], "refusal": None}},
        {"delta": {"content": "b"}, "logprobs": {"content": [second], "refusal": None}},
        {"delta": {}, "logprobs": None, "finish_reason": "stop"},
    ).choices()
    assert choice["logprobs"] == {"content": [first, second], "refusal": None}


def test_calls_of_tools_lose_their_index_and_keep_the_order_in_which_they_were_begun() -> None:
    """An SDK inserts a call at its index, so a call that comes first cannot become the second."""
    first, second = (
        {"index": index, "id": f"call_{index}", "function": {"name": "f", "arguments": "{}"}} for index in (1, 0)
    )
    assert message_of({"tool_calls": [first]}, {"tool_calls": [second]})["tool_calls"] == [
        {"id": f"call_{index}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for index in (1, 0)
    ]


def test_a_server_that_repeats_id_and_name_in_every_piece_is_understood() -> None:
    def piece(arguments: str) -> Object:
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}
        return {"role": "assistant", "tool_calls": [call]}

    assert message_of(piece("{"), piece("}")) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }


def test_calls_without_an_index_stand_for_themselves() -> None:
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in "ab"]
    assert message_of({"tool_calls": calls[:1]}, {"tool_calls": calls[1:]})["tool_calls"] == calls


@pytest.mark.parametrize(
    "pieces",
    [
        [{"id": "a", "function": {"arguments": '{"a"'}}, {"function": {"name": "f", "arguments": ":1}"}}],
        [{"id": "a", "function": {"arguments": '{"a":1}'}}, {"function": {"name": "f"}}],
        [{"id": "a", "function": {"arguments": '{"a":1}'}}, {"id": "a", "function": {"name": "f", "arguments": ""}}],
        [{"id": "a", "function": {"arguments": '{"a":1}'}}, {"function": {"name": "f", "arguments": '{"a":1}'}}],
        [
            {"id": "a", "function": {"arguments": '{"a":1}'}},
            {"id": "a", "function": {"name": "f", "arguments": '{"a":1}'}},
        ],
    ],
)
@pytest.mark.parametrize("is_together", [False, True])
def test_a_name_may_come_after_the_arguments(pieces: list[Object], *, is_together: bool) -> None:
    indexed = [{"index": 0} | piece for piece in pieces]
    message = message_of(*([{"tool_calls": indexed}] if is_together else [{"tool_calls": [one]} for one in indexed]))
    assert message["tool_calls"] == [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]


def test_an_empty_piece_with_an_id_of_its_own_begins_no_call() -> None:
    pieces = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "id": "a-0", "function": {"arguments": "{}"}},
        {"index": 0, "id": "a-1", "function": {"arguments": ""}},
    ]
    assert message_of(*({"tool_calls": [piece]} for piece in pieces))["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]


def test_unknown_fields_of_a_delta_are_kept() -> None:
    message = message_of(
        {"mood": "gl", "score": 1, "audio": {"data": "AA"}}, {"mood": "ad", "score": 2, "audio": {"data": "BB"}}
    )
    assert (message["mood"], message["score"], message["audio"]) == ("glad", 2, {"data": "AABB"})


def test_a_field_that_changes_its_type_does_not_break_the_answer() -> None:
    assert message_of({"content": "text"}, {"content": [{"type": "text"}]})["content"] == "text"


def test_the_last_count_of_tokens_counts() -> None:
    answer = CompletionAccumulator()
    for usage in ({"total_tokens": 1}, {"total_tokens": 2}, None):
        answer.add({"choices": [], "usage": usage})
    assert answer.usage == {"total_tokens": 2}
    assert answer.is_empty


def test_half_a_surrogate_pair_in_each_chunk_is_one_character_in_json() -> None:
    message = message_of({"content": "\ud83d"}, {"content": "\ude00"})
    assert json.loads(json.dumps(message))["content"] == "😀"


def test_a_whole_completion_becomes_one_chunk_and_back() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, call | {"id": "call_2"}]}
    completion = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": None}]}
    answer = CompletionAccumulator()
    answer.add(completion)
    answer.close()
    assert answer.choices() == completion["choices"]
