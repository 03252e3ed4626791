"""A caller with the official SDK, the web endpoint of a real instance, a fresh pod per request."""

import json
import re
import time
from typing import Any

import openai
import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, until

MESSAGES: Any = [{"role": "user", "content": "hello"}]


def test_a_blocking_request_is_answered(chat: Endpoint) -> None:
    answer = chat.sdk.chat.completions.create(model="default", messages=MESSAGES)
    assert answer.choices[0].message.content == "Hello from the fake model."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10


@pytest.mark.measures
def test_a_stream_brings_each_token_when_the_model_sends_it(chat: Endpoint) -> None:
    chat.use_model("slow:5:300")
    arrived = []
    stream = chat.sdk.chat.completions.create(
        model="default", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = []
    for chunk in stream:
        chunks.append(chunk)
        if chunk.choices and chunk.choices[0].delta.content:
            arrived.append((time.time() * 1000, float(chunk.choices[0].delta.content)))

    assert len(arrived) == 5
    assert max(received - sent for received, sent in arrived) < 250  # below the model's own pace: nothing was held back
    assert chunks[-1].usage is not None
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_whole_conversation_reaches_the_model_with_the_system_prompt_first(chat: Endpoint) -> None:
    chat.use_model("echo")
    conversation = [
        {"role": "user", "content": "My name is $(SYMPOZIUM_RUN) Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
    ]
    answer = chat.http.post(
        "/v1/chat/completions", json={"messages": conversation, "temperature": 0.25, "unknown_extra": {"a": [1]}}
    ).json()

    seen = json.loads(answer["choices"][0]["message"]["content"])["body"]

    assert seen["messages"] == [{"role": "system", "content": "You are a test."}, *conversation]
    assert (seen["temperature"], seen["unknown_extra"], seen["model"]) == (0.25, {"a": [1]}, "echo")


def test_each_request_has_a_pod_of_its_own(chat: Endpoint) -> None:
    runs = [chat.chat().headers["x-sympozium-run"] for _ in range(2)]
    pods = [chat.namespace.run_ends(run)["podName"] for run in runs]
    assert len(set(pods)) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "status"),
    [("status:429", 429), ("status:401", 502), ("status:500", 502), ("status:400", 400), ("cut", None)],
)
def test_a_models_failure_is_an_error(chat: Endpoint, script: str, status: int | None, stream: bool) -> None:
    chat.use_model(script)
    with pytest.raises(openai.APIError) as raised:
        for _ in chat.sdk.chat.completions.create(model="default", messages=MESSAGES, stream=stream):
            pass
    if status:
        assert isinstance(raised.value, openai.APIStatusError)
        assert raised.value.status_code == status
        run = raised.value.response.headers["x-sympozium-run"]
        assert chat.namespace.run_ends(run)["error"]["type"] == "model_error"


def test_an_unreachable_models_address_stands_in_status_and_event_and_not_in_the_answer(
    namespace: Namespace, chat: Endpoint
) -> None:
    namespace.patch("instance", "chat", {"spec": {"agents": {"default": {"baseURL": "http://model:9/v1"}}}})
    try:
        response = until(lambda: found if (found := chat.chat()).status_code != 200 else None, within=20)
    finally:
        namespace.patch("instance", "chat", {"spec": {"agents": {"default": {"baseURL": "http://model:8080/v1"}}}})
    assert response.status_code == 502
    error = response.json()["error"]
    assert error["code"] == "model_unreachable"
    assert re.fullmatch(
        r"The model cannot be reached \((ConnectionRefused|ConnectionFailed|Timeout)\)\.", error["message"]
    )
    run = response.headers["x-sympozium-run"]
    failure = chat.namespace.run_ends(run)["error"]
    address = "Cannot reach the model at http://model:9/v1: "
    assert failure["type"] == "model_unreachable"
    assert failure["message"].startswith(address)
    assert failure["message"].endswith(" (spec.agents.default.baseURL).")
    until(lambda: address in chat.namespace.kubectl("describe", "run", run), within=20)


def model_not_ready(namespace: Namespace, instance: str) -> Object | None:
    """Return the condition ModelReady once it is False. A run may fail before its instance is looked at."""
    conditions = namespace.status("instance", instance)["conditions"]
    return next((c for c in conditions if (c["type"], c["status"]) == ("ModelReady", "False")), None)


def test_a_missing_model_secret_is_told_by_name_to_those_who_read_the_instance(
    namespace: Namespace, chat: Endpoint
) -> None:
    namespace.patch("instance", "chat", {"spec": {"authRefs": [{"provider": "openai", "secret": "no-such-secret"}]}})
    try:
        response = until(lambda: found if (found := chat.chat()).status_code == 503 else None, within=20)
        assert response.json()["error"]["code"] in (
            "model_not_ready",
            "model_secret_missing",
        )  # the run's, or without one
        assert "no-such-secret" not in response.text
        condition = until(lambda: model_not_ready(namespace, "chat"), within=20)
        assert condition["reason"] == "SecretNotFound"
        assert "no-such-secret" in condition["message"]
    finally:
        namespace.patch("instance", "chat", {"spec": {"authRefs": None}})
    until(lambda: chat.chat().status_code == 200, within=30)


def test_the_models_key_reaches_the_model_and_nothing_else(namespace: Namespace, chat: Endpoint) -> None:
    key = "sk-provider-0123456789"
    namespace.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "provider"}, "stringData": {"OPENAI_API_KEY": key}}
    )
    namespace.patch("instance", "chat", {"spec": {"authRefs": [{"provider": "openai", "secret": "provider"}]}})
    chat.serves().use_model("echo")
    try:
        response = until(lambda: found if key in (found := chat.chat()).text else None, within=20)
        seen = json.loads(response.json()["choices"][0]["message"]["content"])
        assert seen["headers"]["authorization"] == f"Bearer {key}"
        for kind in ("jobs", "pods", "events"):
            assert key not in json.dumps(namespace.list(kind))
    finally:
        namespace.patch("instance", "chat", {"spec": {"authRefs": None}})


class TestBadInput:
    def test_a_wrong_key(self, chat: Endpoint) -> None:
        with pytest.raises(openai.AuthenticationError):
            chat.sdk.with_options(api_key="sk-wrong").chat.completions.create(model="default", messages=MESSAGES)

    def test_a_field_that_is_missing(self, chat: Endpoint) -> None:
        with pytest.raises(openai.BadRequestError) as raised:
            chat.sdk.chat.completions.create(model="default", messages=[])
        assert raised.value.param == "messages"

    def test_a_body_that_is_too_large(self, chat: Endpoint) -> None:
        assert chat.chat("x" * (8 * 1024 * 1024 + 1)).status_code == 413

    def test_the_largest_body_is_answered(self, chat: Endpoint) -> None:
        assert chat.chat("ł" * (512 * 1024 - 200)).status_code == 200


def test_a_run_that_takes_too_long_is_a_504(namespace: Namespace, chat: Endpoint) -> None:
    namespace.patch("instance", "chat", {"spec": {"agents": {"default": {"runTimeout": "3s"}}}})
    chat.use_model("hang")
    try:
        response = chat.chat()
        assert response.status_code == 504
        assert namespace.run_ends(response.headers["x-sympozium-run"])["error"]["type"] == "timeout"
    finally:
        namespace.patch("instance", "chat", {"spec": {"agents": {"default": {"runTimeout": "10m"}}}})


def test_a_finished_runs_job_and_pod_are_removed_and_the_run_is_kept(chat: Endpoint) -> None:
    run = chat.chat().headers["x-sympozium-run"]
    until(lambda: not chat.namespace.list("jobs", "-l", f"sympozium.ai/run={run}"), within=30)
    until(lambda: not chat.namespace.list("pods", "-l", f"sympozium.ai/run={run}"), within=30)
    status = chat.namespace.status("run", run)
    assert (status["phase"], status["result"]) == ("Succeeded", "Hello from the fake model.")
    assert status["tokenUsage"]["totalTokens"] == 10
