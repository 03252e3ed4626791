"""The cases of the Open Responses compliance suite, for tests that have an endpoint to try them on.

The suite itself (https://www.openresponses.org/compliance) is a script in its own repository and is in no package
registry, so that what it asks and what it checks is written again here: what each case sends, that the answer has every
field that the specification requires, that every event is one of the specification's, and what each case wants beside.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

Object = dict[str, Any]

REQUIRED = {
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id"),
    *("instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p"),
    *("presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "user", "usage"),
    *("max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier"),
    "prompt_cache_key",
}
"""Fields of a response, whether or not they were asked for."""

_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The current weather of a place",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}
_PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def _message(role: str, content: Any) -> Object:
    return {"type": "message", "role": role, "content": content}


@dataclass(frozen=True)
class Case:
    """One case: what is sent, whether as a stream, and what must come back."""

    name: str
    body: Object
    stream: bool = False
    wants: str = "message"
    """Type of an item that the output must have."""


CASES = (
    Case("basic-response", {"input": [_message("user", "Say hello in three words.")]}),
    Case("streaming-response", {"input": [_message("user", "Count from 1 to 5.")]}, stream=True),
    Case(
        "system-prompt",
        {"input": [_message("system", "You are a pirate."), _message("user", "Say hello.")]},
    ),
    Case(
        "tool-calling",
        {"input": [_message("user", "What is the weather in Łódź?")], "tools": [_WEATHER]},
        wants="function_call",
    ),
    Case(
        "tool-calling-streaming",
        {"input": [_message("user", "What is the weather in Łódź?")], "tools": [_WEATHER]},
        stream=True,
        wants="function_call",
    ),
    Case(
        "image-input",
        {
            "input": [
                _message(
                    "user",
                    [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": _PIXEL}],
                )
            ]
        },
    ),
    Case(
        "multi-turn",
        {
            "input": [
                _message("user", "My name is Alice."),
                _message("assistant", "Hello Alice!"),
                _message("user", "What is my name?"),
            ]
        },
    ),
)


def check(case: Case, text: str) -> None:
    """Assert that an answer, as it was received, is right for a case."""
    response = _streamed(case, text) if case.stream else json.loads(text)
    assert REQUIRED - response.keys() == set()
    Response.model_validate(response)
    assert response["status"] == "completed"
    assert case.wants in [item["type"] for item in response["output"]]
    for tool in response["tools"]:
        assert {"type", "name", "description", "parameters", "strict"} <= tool.keys()


def _streamed(case: Case, text: str) -> Object:
    events = list(_events(text))
    for event in events:
        _EVENT.validate_python(event)
    names = [event["type"] for event in events]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == sorted(set(numbers))
    assert names[0] == "response.created"
    added = [event["item"]["type"] for event in events if event["type"] == "response.output_item.added"]
    ended = [event["item"]["type"] for event in events if event["type"] == "response.output_item.done"]
    assert case.wants in added
    assert added == ended
    wanted = "response.function_call_arguments" if case.wants == "function_call" else "response.output_text"
    assert {f"{wanted}.delta", f"{wanted}.done"} <= set(names)
    assert names[-1] == "response.completed"
    response: Object = events[-1]["response"]
    return response


def _events(text: str) -> Iterator[Object]:
    frames = [frame.splitlines() for frame in text.split("\n\n") if frame and not frame.startswith(":")]
    assert frames[-1] == ["data: [DONE]"]
    for name, data in frames[:-1]:
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        yield event
