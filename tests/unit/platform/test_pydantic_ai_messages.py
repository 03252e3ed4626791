"""Messages of runs as pydantic-ai itself reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from sympozium_domain.stored_runs.stored_run import StoredRun
from sympozium_platform import pydantic_ai_messages

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
USER = {"role": "user", "content": "hi"}


def run(content: dict[str, Any] | None, phase: str = "Succeeded", **fields: Any) -> StoredRun:
    known: dict[str, Any] = dict.fromkeys(StoredRun.__dataclass_fields__)
    own = {"uid": "u", "namespace": "acme", "name": "r", "phase": phase, "created_at": AT, "content": content}
    return StoredRun(**known | own | {"ended_at": AT + timedelta(seconds=2), "model": "m"} | fields)


def read(content: dict[str, Any], **fields: Any) -> list[ModelMessage]:
    """The messages as the library reads them."""
    return ModelMessagesTypeAdapter.validate_python(pydantic_ai_messages.of_run(run(content, **fields)))


def test_a_conversation_is_read_as_it_was() -> None:
    content = {
        "systemPrompt": "Be kind.",
        "request": {"messages": [USER, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "why?"}]},
        "answer": "Because.",
    }
    first, hello, why, because = read(content, input_tokens=3, output_tokens=2)
    assert isinstance(first, ModelRequest)
    assert [type(part) for part in first.parts] == [SystemPromptPart, UserPromptPart]
    assert isinstance(hello, ModelResponse)
    assert hello.parts == [TextPart("Hello")]
    assert isinstance(why, ModelRequest)
    assert why.parts == [UserPromptPart("why?", timestamp=AT)]
    assert isinstance(because, ModelResponse)
    assert (because.parts, because.model_name) == ([TextPart("Because.")], "m")
    assert (because.usage.input_tokens, because.usage.output_tokens) == (3, 2)
    assert because.timestamp == AT + timedelta(seconds=2)


def test_calls_of_tools_stand_between_the_models_answers() -> None:
    steps = [
        {"kind": "model", "error": "overloaded"},
        {"kind": "model", "inputTokens": 5, "outputTokens": 1, "startedAt": "2026-01-01T12:00:01.000Z"},
        {"kind": "tool", "name": "echo", "title": "Echo!", "id": "c1", "args": '{"text": "x"}'},
        {"kind": "tool", "name": "broken", "id": "c2", "args": "{", "error": "it failed"},
        {"kind": "model", "inputTokens": 9, "outputTokens": 2},
    ]
    _, calls, returned, answer = read({"request": {"messages": [USER]}, "steps": steps, "answer": "x"})
    assert isinstance(calls, ModelResponse)
    assert calls.parts == [ToolCallPart("echo", '{"text": "x"}', "c1"), ToolCallPart("broken", "{", "c2")]
    assert (calls.usage.input_tokens, calls.usage.output_tokens) == (5, 1)
    assert isinstance(returned, ModelRequest)
    results = [part for part in returned.parts if isinstance(part, ToolReturnPart)]
    assert [(part.tool_call_id, part.content) for part in results] == [("c1", None), ("c2", "it failed")]
    assert isinstance(answer, ModelResponse)
    assert (answer.parts, answer.usage.output_tokens) == ([TextPart("x")], 2)


def test_a_run_that_failed_has_no_answer() -> None:
    steps = [{"kind": "tool", "name": "echo", "id": "c1", "args": "{}"}]
    found = read({"request": {"messages": [USER]}, "steps": steps, "error": {"message": "no"}}, phase="Failed")
    assert [message.kind for message in found] == ["request", "response", "request"]


def test_messages_of_other_dialects_are_read_too() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "echo", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    messages = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "what?"}, image, {"type": "file"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ]
    asked, called, returned, _ = read({"request": {"messages": messages}, "answer": "A cat."})
    assert isinstance(asked.parts[1], UserPromptPart)
    what, picture, file = list(asked.parts[1].content)
    assert (what, getattr(picture, "url", None), file) == ("what?", "https://example.com/a.png", '{"type": "file"}')
    assert called.parts == [ToolCallPart("echo", "{}", "c1")]
    assert returned.parts == [ToolReturnPart("echo", "found", "c1", timestamp=AT)]


@pytest.mark.parametrize("messages", [None, "x", [3], [{"role": 3, "content": 4}]])
def test_messages_that_are_none_are_no_error(messages: Any) -> None:
    assert read({"request": {"messages": messages}, "answer": "x"})[-1].parts == [TextPart("x")]


def test_a_run_whose_content_is_gone_has_no_messages() -> None:
    assert pydantic_ai_messages.of_run(run(None)) is None
