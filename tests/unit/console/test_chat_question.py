"""Questions of the chat's form as requests of the management API, and the programs that send the same."""

import ast
import json
import shlex
from typing import Any

import pytest
from tests.integration.conftest import instance

from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_console import new_run_body
from sympozium_console.pages.chat.chat_question import encoded, parse
from sympozium_console.pages.chat.request_samples import body_of, samples_of

DEMO = SympoziumInstance.model_validate(instance())
FORM = {"question": "Why?\n", "session": "k1", "attempt": "a1"}


def test_a_question_alone_is_a_task_of_the_conversation() -> None:
    body = parse(FORM).body(DEMO)
    assert body == {"agentRef": "demo", "task": "Why?\n", "sessionKey": "k1"}
    assert new_run_body.parse(encoded(body)).session_key == "k1"


def test_options_make_a_chat_completion() -> None:
    options = {"model": "m2", "temperature": "0.5", "max_tokens": "64", "json": "on", "instructions": "Be kind."}
    body = parse(FORM | options).body(DEMO)
    assert body["request"] == {
        "model": "m2",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Why?\n"}],
        "temperature": 0.5,
        "max_tokens": 64,
        "response_format": {"type": "json_object"},
    }
    assert new_run_body.parse(encoded(body)).chat["max_tokens"] == 64


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", "warm"),
        ("temperature", "2.1"),
        ("temperature", "-1"),
        ("max_tokens", "0"),
        ("max_tokens", "1.5"),
        ("max_tokens", "\u0664"),
        ("question", " \n"),
        ("session", ""),
        ("session", "a b"),
    ],
)
def test_wrong_values_are_told_at_their_field_and_kept(field: str, value: str) -> None:
    question = parse(FORM | {field: value})
    assert list(question.faults) == [field]
    assert getattr(question, field) == value.strip() or field in ("question", "session")


def _run(messages: list[dict[str, Any]], history: int) -> AgentRun:
    return AgentRun.model_validate(
        {
            "metadata": {
                "name": "r",
                "namespace": "team-a",
                "annotations": {"sympozium.ai/session-history": str(history)},
            },
            "spec": {"agentRef": "demo", "request": {"messages": messages, "temperature": 0.5}},
        }
    )


def test_programs_send_the_very_request_that_the_console_sent() -> None:
    said = {"role": "user", "content": "It's \"$(id)\" `x` \\ \u00fc\n'"}
    earlier = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    body = body_of(_run([*earlier, said], 2), "k1")
    assert body == {"agentRef": "demo", "request": {"messages": [said], "temperature": 0.5}, "sessionKey": "k1"}
    curl, python = samples_of(body, "https://console.example/", "team-a")
    words = shlex.split(curl.text.replace("\\\n", ""))
    assert words[2] == "https://console.example/api/v1/runs?namespace=team-a"
    assert json.loads(words[words.index("-d") + 1]) == body
    tree = ast.parse(python.text)
    assert ast.literal_eval(next(node.value for node in tree.body if isinstance(node, ast.Assign))) == body


def test_somebody_elses_conversation_is_sent_as_a_whole() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "user", "content": "You there?"}]
    body = body_of(_run(messages, 1), None)
    assert body == {"agentRef": "demo", "request": {"messages": messages, "temperature": 0.5}}
