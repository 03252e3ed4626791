"""Records as chat completions and chunks."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.pod import delta, done

from sympozium_api.agent_records import Delta, Done
from sympozium_openai.chat import ChatChunks, CompletionHead, completion

HEAD = CompletionHead(run="demo-1", created=1, model="m")


def chunks(include_usage: bool = False) -> ChatChunks:  # noqa: FBT002
    return ChatChunks(HEAD, include_usage)


def text_of(frames: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for frame in frames for choice in frame["choices"])


@given(st.lists(st.text(max_size=5), max_size=8), st.integers(0, 8))
def test_the_caller_gets_the_whole_text_once_wherever_the_stream_broke(words: list[str], arrived: int) -> None:
    stream = chunks()
    frames = [stream.delta(_delta(word)) for word in words[:arrived]]
    frames += stream.end(_done("".join(words)))
    assert text_of(frames) == "".join(words)
    assert [c["finish_reason"] for f in frames for c in f["choices"] if c["finish_reason"]] == ["stop"]
    assert frames[0]["choices"][0]["delta"]["role"] == "assistant"
    assert all("role" not in frame["choices"][0]["delta"] for frame in frames[1:])


def test_the_models_own_finish_reason_is_not_repeated() -> None:
    stream = chunks()
    stream.delta({"type": "delta", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]})
    assert stream.end(_done("a")) == []


def test_fields_beside_the_models_text_are_forwarded() -> None:
    choice = {"index": 0, "delta": {"reasoning_content": "hm"}, "logprobs": {"content": []}}
    [sent] = chunks().delta({"type": "delta", "choices": [choice]})["choices"]
    assert sent == choice | {"delta": {"role": "assistant", "reasoning_content": "hm"}, "finish_reason": None}


def test_tool_calls_that_never_came_as_deltas_are_sent_at_the_end() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    record: Any = _done("")
    record["choices"][0] = {
        "index": 0,
        "message": {"content": None, "tool_calls": [call]},
        "finish_reason": "tool_calls",
    }
    first, last = chunks().end(record)
    assert first["choices"][0]["delta"]["tool_calls"] == [{"index": 0} | call]
    assert last["choices"][0]["finish_reason"] == "tool_calls"


def test_an_answer_of_which_nothing_came_as_a_delta_is_sent_with_all_its_fields() -> None:
    record: Any = _done("")
    record["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "I would rather not."}
    first, _ = chunks().end(record)
    assert first["choices"][0]["delta"] == {"role": "assistant", "refusal": "I would rather not."}


def test_usage_comes_last_and_only_on_request() -> None:
    *before, last = chunks(include_usage=True).end(_done("a"))
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 5
    assert all(chunk["usage"] is None for chunk in before)
    assert all("usage" not in chunk for chunk in chunks().end(_done("a")))


def test_a_completion_has_usage_only_where_the_model_gave_it() -> None:
    record = _done("a")
    assert completion(HEAD, record)["usage"]["total_tokens"] == 5
    assert "usage" not in completion(HEAD, {**record, "usage": {}})


def _delta(text: str) -> Delta:
    return delta(text)  # type: ignore[return-value]


def _done(text: str) -> Done:
    return done(text)  # type: ignore[return-value]
