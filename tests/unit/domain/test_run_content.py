"""Content of a run in the archive: whatever form its texts have, and none of a run that must not be stored."""

from typing import Any

import pytest
from tests.unit.console.archiver_world import ended

from sympozium_api import names
from sympozium_api.json_text import json_text
from sympozium_api.run import AgentRun
from sympozium_domain.stored_runs.run_content import content_of, is_private

REQUEST = '{"messages":[{"role":"user","content":"Hi"}],"temperature":1.0}'


def run(**spec: Any) -> AgentRun:
    body = ended("q1", **spec)
    if "requestText" in spec or "request" in spec:
        del body["spec"]["task"]
    return AgentRun.model_validate(body)


@pytest.mark.parametrize(
    "spec",
    [
        {"request": {"messages": [{"role": "user", "content": "Hi"}], "temperature": 1.0}},
        {"requestText": {"json": REQUEST}},
        {"requestText": json_text(REQUEST, plain_bytes=10).field},
    ],
)
def test_a_request_is_kept_as_the_object_that_it_is(spec: dict[str, Any]) -> None:
    content = content_of(run(**spec))
    assert content["request"] == {"messages": [{"role": "user", "content": "Hi"}], "temperature": 1.0}
    assert (content["answer"], content["usage"]["prompt_tokens"]) == ("Answer of q1", 7)
    assert not content.keys() & {"choices", "steps", "error", "unreadable", "response", "systemPrompt"}


def test_a_task_is_kept_as_the_request_that_it_becomes() -> None:
    content = content_of(run(systemPrompt="Be brief."))
    assert content["request"] == {"messages": [{"role": "user", "content": "Question of q1"}]}
    assert content["systemPrompt"] == "Be brief."


def test_tool_calls_of_the_caller_and_steps_of_the_agent_are_kept() -> None:
    body = ended("q1")
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "tool_calls"}
    body["status"] |= {"choices": [choice], "steps": [{"kind": "tool", "name": "f", "args": '{"b":2}'}]}
    content = content_of(AgentRun.model_validate(body))
    assert content["choices"][0]["message"]["tool_calls"] == calls
    assert content["steps"] == [{"kind": "tool", "name": "f", "args": '{"b":2}', "durationMs": 0}]


def test_the_error_of_a_failed_run_is_kept_because_it_may_quote_the_model() -> None:
    body = ended("q1", phase="Failed")
    body["status"]["error"] = {"type": "model_error", "message": "Your prompt is odd.", "httpStatus": 400}
    assert content_of(AgentRun.model_validate(body))["error"]["message"] == "Your prompt is odd."


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("requestText", {"json": "not JSON"}),
        ("requestText", {"parts": 2, "bytes": 2000000, "sha256": "0" * 64}),
        ("requestText", {"gzip": "eA==", "bytes": 1, "sha256": "0" * 64}),
    ],
)
def test_a_text_that_cannot_be_read_costs_no_other(field: str, text: dict[str, Any]) -> None:
    content = content_of(run(**{field: text}))
    assert content["answer"] == "Answer of q1"
    [reason] = content["unreadable"]
    assert reason.startswith(f"spec.{field}")


def test_an_answer_of_which_a_part_is_missing_costs_no_request() -> None:
    body = ended("q1")
    body["status"]["answer"] = {"parts": 2, "bytes": 2000000, "sha256": "0" * 64}
    content = content_of(AgentRun.model_validate(body))
    assert content["request"]["messages"]
    assert "status.answer" in content["unreadable"][0]


def response(text: str) -> AgentRun:
    return run(requestText={"json": REQUEST}, responseText={"json": text})


@pytest.mark.parametrize(
    ("asked", "private"), [('{"store":false}', True), ('{"store":true}', False), ("{}", False), ("[]", False)]
)
def test_a_response_with_store_false_is_private(asked: str, private: bool) -> None:
    assert is_private(response(f'{{"asked":{asked}}}')) == private


def test_a_response_that_cannot_be_read_is_private_because_it_may_say_so() -> None:
    assert is_private(response("{"))
    assert is_private(run(responseText={"parts": 1, "bytes": 2000000, "sha256": "0" * 64}))


def test_a_chat_completion_with_store_false_is_private() -> None:
    assert is_private(run(requestText={"json": '{"messages":[],"store":false}'}))
    assert not is_private(run(requestText={"json": REQUEST}))


def test_a_discarded_run_is_private() -> None:
    body = ended("q1")
    body["metadata"]["annotations"] = {names.ANNOTATION_DISCARDED: "true"}
    assert is_private(AgentRun.model_validate(body))
