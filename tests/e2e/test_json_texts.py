"""Requests and answers pass the API server byte for byte."""

import json
from typing import Any

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Refused, agent_run

SCHEMA = (
    '{"type":"object","properties":{"reasoning":{"type":"string"},"answer":{"minimum":1.0},"a_first":{"const":'
    '123456789012345678901234567890}},"required":["reasoning","answer","a_first"]}'
)
MESSAGES = '[{"role": "user", "content": "hello"}]'
CHAT = (
    f'{{"messages": {MESSAGES}, "temperature": 1.0,'
    f' "response_format": {{"type":"json_schema","json_schema":{{"name":"r","schema":{SCHEMA}}}}}}}'
)


def asked(endpoint: Endpoint, body: str, path: str = "/v1/chat/completions") -> tuple[str, Any]:
    """Return the name of a request's run, and the body that the model got."""
    endpoint.use_model("echo")
    answer = endpoint.http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    return answer.headers["x-sympozium-run"], json.loads(answer.json()["choices"][0]["message"]["content"])["body"]


def test_a_schema_reaches_the_model_in_its_order_and_with_its_numbers(chat: Endpoint) -> None:
    run, body = asked(chat, CHAT)
    assert json.dumps(body["response_format"]["json_schema"]["schema"]) == json.dumps(json.loads(SCHEMA))
    assert json.dumps(body["temperature"]) == "1.0"
    assert SCHEMA in chat.namespace.get("run", run)["spec"]["requestText"]["json"]


def test_a_body_beyond_the_plain_size_reaches_the_model_whole(chat: Endpoint) -> None:
    grown = "<" * 200_000  # six bytes each where the API server stores them
    run, body = asked(chat, f'{{"messages": {MESSAGES}, "extra": "{grown}"}}')
    assert body["extra"] == grown
    assert set(chat.namespace.get("run", run)["spec"]["requestText"]) == {"gzip", "bytes", "sha256"}


@pytest.mark.parametrize("text", [{"json": "{}"}, {"bytes": 1}, {"sha256": "0" * 64}, {"json": None, "gzip": "AA=="}])
def test_a_request_cannot_be_edited(chat: Endpoint, text: dict[str, Any]) -> None:
    run, _ = asked(chat, CHAT)
    with pytest.raises(Refused, match="immutable"):
        chat.namespace.patch("run", run, {"spec": {"requestText": text}})


@pytest.mark.parametrize(
    "spec", [{"request": json.loads(CHAT)}, {"requestText": {"json": CHAT}}], ids=["object", "text"]
)
def test_a_request_can_be_applied(chat: Endpoint, namespace: Namespace, spec: dict[str, Any]) -> None:
    name = f"applied-{'text' if 'requestText' in spec else 'object'}"
    namespace.apply(agent_run(name, agentRef=chat.instance, model={"model": "echo"}, **spec))
    body = json.loads(namespace.run_ends(name)["result"])["body"]
    assert body["messages"][1:] == json.loads(MESSAGES)  # after the system prompt
    assert (json.dumps(body["temperature"]) == "1.0") == ("requestText" in spec)


def test_a_text_that_is_no_json_fails_its_run_by_name(chat: Endpoint, namespace: Namespace) -> None:
    namespace.apply(agent_run("broken", agentRef=chat.instance, requestText={"json": "{"}))
    error = namespace.run_ends("broken")["error"]
    assert (error["type"], error["httpStatus"]) == ("task_refused", 400)
    assert "spec.requestText" in error["message"]
