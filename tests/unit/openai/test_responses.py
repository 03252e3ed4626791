"""The Responses API as pure translation: bodies into chat completions, messages into items, records into events."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.pod import done

from sympozium_http.refusal import Refusal
from sympozium_openai import responses_items, responses_object, responses_request
from sympozium_openai.response_frames import frame
from sympozium_openai.responses_events import ResponseEvents
from sympozium_openai.responses_object import ResponseObject

RUN = "demo-1"
RESPONSE = ResponseObject(run=RUN, created=1, model="m", instructions=None, params={})
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}


def asked(**fields: Any) -> responses_request.ResponseParams:
    return responses_request.parse(json.dumps({"input": "hello"} | fields).encode())


def chat(**fields: Any) -> dict[str, Any]:
    body, _ = asked(**fields).chat((), lambda _: None)
    return body


class TestTheBodyThatTheModelIsSent:
    def test_an_input_text_becomes_a_users_message_after_the_instructions(self) -> None:
        assert chat(instructions="Be brief.") == {
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
        }

    def test_the_continued_conversation_comes_before_the_input(self) -> None:
        earlier = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        body, before = asked(instructions="Be brief.").chat(earlier, lambda _: None)
        assert [message["content"] for message in body["messages"]] == ["Be brief.", "a", "b", "hello"]
        assert before == 3

    def test_the_model_gets_fields_under_the_names_of_a_chat_completion(self) -> None:
        style = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
        body = chat(
            max_output_tokens=5,
            reasoning={"effort": "low", "summary": "auto"},
            text={"format": style, "verbosity": "low"},
            tools=[TOOL],
            tool_choice={"type": "function", "name": "weather"},
            parallel_tool_calls=False,
            include=["message.output_text.logprobs"],
            top_logprobs=2,
        )
        del body["messages"]
        assert body == {
            "max_completion_tokens": 5,
            "reasoning_effort": "low",
            "verbosity": "low",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
            },
            "tools": [
                {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True}}
            ],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "parallel_tool_calls": False,
            "logprobs": True,
            "top_logprobs": 2,
        }

    def test_the_model_gets_unknown_fields_and_none_that_are_for_the_caller_alone(self) -> None:
        body = chat(
            metadata={"a": "b"},
            store=False,
            stream=True,
            truncation="disabled",
            conversation=None,
            seed=7,
            temperature=0.5,
            top_k=3,
        )
        del body["messages"]
        assert body == {"seed": 7, "temperature": 0.5, "top_k": 3}

    def test_allowed_tools_are_sent_in_the_form_of_a_chat_completion(self) -> None:
        allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]}
        assert chat(tools=[TOOL], tool_choice=allowed)["tool_choice"] == {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]},
        }

    def test_consecutive_function_calls_become_one_message(self) -> None:
        def call(number: int) -> dict[str, Any]:
            return {"type": "function_call", "call_id": f"c{number}", "name": "weather", "arguments": "{}"}

        def output(number: int) -> dict[str, Any]:
            return {"type": "function_call_output", "call_id": f"c{number}", "output": "sun"}

        thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
        messages = chat(input=[{"role": "user", "content": "?"}, thought, call(1), call(2), output(1), output(2)])[
            "messages"
        ]
        assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
        assert [call["id"] for call in messages[1]["tool_calls"]] == ["c1", "c2"]
        assert [message.get("tool_call_id") for message in messages[2:]] == ["c1", "c2"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"input": None}, "input"),
            ({"input": []}, "input"),
            ({"input": 7}, "input"),
            ({"input": "\ud83d"}, "input"),
            ({"input": ["x"]}, "input[0]"),
            ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
            ({"input": [{"role": "user"}]}, "input[0].content"),
            ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
            ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0].type"),
            (
                {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
                "input[0].content[0].file_id",
            ),
            (
                {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://x"}]}]},
                "input[0].content[0].file_url",
            ),
            ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
            ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
            ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
            (
                {"tools": [TOOL, {"type": "custom", "name": "c"}], "tool_choice": {"type": "custom", "name": "c"}},
                "tool_choice",
            ),
            ({"tools": [{"type": "web_search"}, {"type": "function"}]}, "tools[1].name"),
            ({"tools": [TOOL, 7]}, "tools[1]"),
            ({"tools": [TOOL, {"type": "function"}]}, "tools[1].name"),
            ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"conversation": "conv_1"}, "conversation"),
            ({"prompt": {"id": "p"}}, "prompt"),
            ({"messages": []}, "messages"),
            ({"max_tokens": 5}, "max_tokens"),
            ({"n": 2}, "n"),
            ({"truncation": "middle"}, "truncation"),
            ({"include": [7]}, "include[0]"),
            ({"metadata": {"a": 1}}, "metadata.a"),
            ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
            ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
            ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
            ({"background": True, "store": False}, "background"),
            ({"max_output_tokens": 0}, "max_output_tokens"),
        ],
    )
    def test_a_refused_field_is_named(self, fields: dict[str, Any], param: str) -> None:
        with pytest.raises(Refusal) as raised:
            asked(**fields)
        assert raised.value.status == 400
        assert raised.value.param == param
        assert f"'{param}'" in str(raised.value)

    @pytest.mark.parametrize(
        ("fields", "ignored"),
        [
            ({"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}, ["include[0]"]),
            ({"tools": [TOOL, {"type": "namespace", "name": "n", "tools": [TOOL]}]}, ["tools[1]"]),
            ({"tools": [{"type": "web_search"}, {"type": "custom", "name": "c"}]}, ["tools[0]", "tools[1]"]),
            ({"tools": [{"type": "web_search"}], "tool_choice": "auto"}, ["tools[0]"]),
            ({"tools": [TOOL | {"defer_loading": True, "cached": False}]}, ["tools[0].defer_loading"]),
            ({"truncation": "auto"}, ["truncation"]),
            ({"reasoning": {"effort": "low", "budget": 5}}, ["reasoning.budget"]),
            ({"text": {"verbosity": "low", "voice": "alloy"}}, ["text.voice"]),
            ({"stream_options": {"include_obfuscation": True}}, ["stream_options.include_obfuscation"]),
            ({"stream_options": {"include_usage": True}}, ["stream_options.include_usage"]),
            ({"prompt_cache_options": {"mode": "auto"}}, ["prompt_cache_options"]),
            ({"context_management": [{"type": "compaction"}]}, ["context_management"]),
            ({"context_management": None, "n": 1, "stream_options": {"include_obfuscation": False}}, []),
        ],
    )
    def test_what_changes_nothing_of_the_answers_meaning_is_left_out_and_named(
        self, fields: dict[str, Any], ignored: list[str]
    ) -> None:
        params = asked(**fields)
        assert list(params.ignored) == ignored
        chat, _ = params.chat((), lambda _: None)
        plain, _ = asked(**{n: v for n, v in fields.items() if n in ("reasoning", "text")}).chat((), lambda _: None)
        assert {tool["type"] for tool in chat.pop("tools", [])} <= {"function"}
        chat.pop("logprobs", None)
        assert chat == plain

    def test_a_conversation_that_a_run_cannot_hold_is_refused(self) -> None:
        with pytest.raises(Refusal) as raised:
            responses_request.text_of(chat(input="x" * 100), {}, limit=100)
        assert raised.value.status == 413


class TestItems:
    def test_input_items_are_read_back_from_the_messages(self) -> None:
        given: list[dict[str, Any]] = [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
                    {"type": "input_file", "file_data": "data:text/plain;base64,AA", "filename": "a.txt"},
                    {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "output_text", "text": "A pin.", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "sun"},
            {"role": "user", "content": ""},
        ]
        read = responses_items.items(chat(input=given)["messages"], RUN)

        assert [item["id"] for item in read] == [
            "msg_demo-1_i0",
            "msg_demo-1_i1",
            "msg_demo-1_i2",
            "fc_demo-1_i3",
            "fco_demo-1_i4",
            "msg_demo-1_i5",
        ]
        assert read[0]["content"] == [{"type": "input_text", "text": "Be brief."}]
        assert read[1]["content"] == given[1]["content"]
        assert read[2]["content"][0]["text"] == "A pin."
        assert (read[3]["call_id"], read[3]["name"], read[4]["output"]) == ("c1", "weather", "sun")
        assert read[5]["content"] == [{"type": "input_text", "text": ""}]
        assert chat(input=read) == chat(input=given)

    def test_an_item_reference_is_replaced_by_its_item(self) -> None:
        stored = {"id": "msg_demo-9_0"} | responses_items.message_item([responses_items.text_part("Hi.")])
        request = asked(input=[{"type": "item_reference", "id": "msg_demo-9_0"}, {"role": "user", "content": "And?"}])
        assert request.referred == {"demo-9": {"msg_demo-9_0": 1}}
        body, _ = request.chat((), {"msg_demo-9_0": stored}.get)
        assert body["messages"] == [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And?"}]
        with pytest.raises(Refusal, match="msg_demo-9_0"):
            request.chat((), lambda _: None)

    def test_items_are_listed_in_pages(self) -> None:
        items = [{"id": f"msg_{number}"} for number in range(5)]
        first = responses_items.page(items, limit=2, order="desc", after=None)
        assert first == {
            "object": "list",
            "data": [{"id": "msg_4"}, {"id": "msg_3"}],
            "first_id": "msg_4",
            "last_id": "msg_3",
            "has_more": True,
        }
        last = responses_items.page(items, limit=3, order="desc", after="msg_3")
        assert ([item["id"] for item in last["data"]], last["has_more"]) == (["msg_2", "msg_1", "msg_0"], False)


# ResponseEvents.

MESSAGE: dict[str, Any] = {
    "role": "assistant",
    "reasoning_content": "Let me 🤔 think.",
    "content": "Łódź it is 🌞.",
    "refusal": "But no more.",
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Łódź"}'}},
        {"id": "c2", "type": "function", "function": {"name": "time", "arguments": ""}},
    ],
}
END: Any = done("") | {"choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}


def pieces(size: int) -> list[Any]:
    """The deltas of MESSAGE, each text in pieces of so many characters."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for key in ("reasoning_content", "content", "refusal"):
        text = MESSAGE[key]
        deltas += [{key: text[at : at + size]} for at in range(0, len(text), size)]
    for index, call in enumerate(MESSAGE["tool_calls"]):
        function = call["function"]
        deltas.append({"tool_calls": [{"index": index, "id": call["id"], "function": {"name": function["name"]}}]})
        text = function["arguments"]
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": text[at : at + size]}}]}
            for at in range(0, len(text), size)
        ]
    return [{"type": "delta", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]


def told(records: list[Any], after: int = -1) -> list[dict[str, Any]]:
    """The events of a run's records, its end last."""
    events = ResponseEvents(RESPONSE, after=after)
    found = events.begin()
    for record in records[:-1]:
        found += events.delta(record)
    return found + events.end(records[-1], 9)


def texts(events: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for event in events:
        if "delta" in event:
            found[event["item_id"] + event["type"]] = found.get(event["item_id"] + event["type"], "") + event["delta"]
    return found


def skeleton(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if "delta" not in event]


@given(st.integers(1, 40), st.integers(0, 60))
def test_a_stream_has_the_same_events_and_numbers_however_the_text_was_cut(size: int, arrived: int) -> None:
    live, replayed = told([*pieces(size)[:arrived], END]), told([END])
    assert texts(live) == texts(replayed)
    assert skeleton(live) == skeleton(replayed)
    numbers = [event["sequence_number"] for event in live]
    assert numbers == sorted(set(numbers))


@given(st.integers(1, 40), st.integers(-1, 200), st.integers(0, 60))
def test_a_stream_can_be_resumed_after_any_event_at_any_replica(size: int, cut: int, arrived: int) -> None:
    had = told([*pieces(size), END])[: max(cut, 0)]
    after = had[-1]["sequence_number"] if had else -1
    rest = told([*pieces(3)[:arrived], END], after=after)
    assert texts(had + rest) == texts(told([END]))
    assert skeleton(had + rest) == skeleton(told([END]))


def test_the_events_of_an_answer_come_in_openais_order() -> None:
    records = [*pieces(100)[1:], END]
    names = [event["type"].removeprefix("response.") for event in told(records)]
    assert names == [
        *("created", "in_progress"),
        *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done"),
        *("content_part.added", "refusal.delta", "refusal.done", "content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    indexes = [event["output_index"] for event in told(records) if "output_index" in event]
    assert indexes == sorted(indexes)


def test_a_text_is_sent_while_it_comes() -> None:
    events = ResponseEvents(RESPONSE)
    first = events.delta(pieces(4)[1])
    assert first[-1]["delta"] == "Let "
    assert events.delta(pieces(4)[2])[0]["delta"] == "me 🤔"
    assert [event["type"] for event in events.delta(pieces(100)[2])][:3] == [
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]


def test_halves_of_a_character_are_one_delta() -> None:
    events = ResponseEvents(RESPONSE)
    halves = [
        {"type": "delta", "choices": [{"index": 0, "delta": {"content": half}}]} for half in ("a\ud83c", "\udf1e")
    ]
    assert events.delta(halves[0])[-1]["delta"] == "a"  # type: ignore[arg-type]
    assert [event["delta"] for event in events.delta(halves[1])] == ["🌞"]  # type: ignore[arg-type]


def test_an_empty_answer_is_a_message_all_the_same() -> None:
    events = told([done("")])
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == ""
    assert "response.output_text.done" in [event["type"] for event in events]


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_why_the_model_stopped_is_the_responses_status(reason: str, status: str, details: Any) -> None:
    end: Any = done("Hello")
    end["choices"][0]["finish_reason"] = reason
    last = told([end])[-1]
    assert last["type"] == f"response.{status}"
    assert (last["response"]["status"], last["response"]["incomplete_details"]) == (status, details)
    assert last["response"]["output"][0]["status"] == status
    assert last["response"]["completed_at"] == (9 if status == "completed" else None)


def test_a_failure_is_the_last_event_wherever_its_caller_was() -> None:
    error: Any = {
        "type": "error",
        "error": {"type": "model_error", "message": "no", "httpStatus": 401},
        "durationMs": 1,
    }
    for after in (-1, 0, 50):
        [*_, last] = told([*pieces(5)[:4], error], after=after)
        assert last["type"] == "response.failed"
        assert last["sequence_number"] > after
        assert last["response"]["error"] == {"code": "model_error", "message": "The model answered 401: no"}


def test_what_a_pod_says_is_not_trusted() -> None:
    for message in (None, 7, {"content": 7, "tool_calls": [7, {"function": 7}], "reasoning": [1]}, {"tool_calls": "x"}):
        end: Any = done("") | {"choices": [{"message": message}], "usage": {"prompt_tokens": "many"}}
        assert told([end])[-1]["response"]["usage"]["input_tokens"] == 0
    parts = {"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}
    assert responses_object.assistant_message(parts, RUN).text == "Hello"


def test_log_probabilities_come_with_their_text() -> None:
    token = {"token": "Hello", "logprob": -0.5, "bytes": [72], "top_logprobs": []}
    end: Any = done("Hello")
    end["choices"][0]["logprobs"] = {"content": [token]}
    piece: Any = {
        "type": "delta",
        "choices": [{"index": 0, "delta": {"content": "Hello"}, "logprobs": {"content": [token]}}],
    }
    for records in ([piece, end], [end]):
        deltas = [event for event in told(records) if event["type"] == "response.output_text.delta"]
        assert [event["logprobs"] for event in deltas] == [[token]]
        assert told(records)[-1]["response"]["output"][0]["content"][0]["logprobs"] == [token]


def test_a_frame_names_its_event() -> None:
    assert (
        frame({"type": "response.created", "a": "ł"})
        == 'event: response.created\ndata: {"type":"response.created","a":"ł"}\n\n'.encode()
    )
