"""The Responses API on a real cluster: the official SDK, a real instance, a fresh pod per response."""

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import Response
from tests.e2e.conftest import LEAST, LONGEST, PATIENCE, Endpoint, Namespace, until
from tests.open_responses import CASES, Case, check

TOOLS: Any = [
    {"type": "function", "name": name, "parameters": {"type": "object"}, "strict": False}
    for name in ("get_weather", "get_time")
]


def run_name(response: Response) -> str:
    return response.id.removeprefix("resp_")


def ended(endpoint: Endpoint, response: Response) -> Response:
    """A response, once it has ended."""

    def look() -> Response | None:
        found = endpoint.sdk.responses.retrieve(response.id)
        return None if found.status in ("queued", "in_progress") else found

    return until(look, within=60)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_of_open_responses_passes(chat: Endpoint, case: Case) -> None:
    if case.wants == "function_call":
        chat.use_model("tools")
    answer = chat.http.post("/v1/responses", json=case.body | {"model": "default", "stream": case.stream})
    assert answer.status_code == 200, answer.text
    check(case, answer.text)


def test_a_response_is_a_run_and_outlives_its_request(chat: Endpoint) -> None:
    response = chat.sdk.responses.create(model="default", input="hello", metadata={"a": "b"})
    assert response.output_text == "Hello from the fake model."
    assert chat.namespace.run_ends(run_name(response))["phase"] == "Succeeded"

    fetched = chat.sdk.responses.retrieve(response.id)

    assert (fetched.status, fetched.output_text, fetched.metadata) == ("completed", response.output_text, {"a": "b"})
    assert fetched.usage is not None
    assert fetched.usage.total_tokens == 10
    [item] = chat.sdk.responses.input_items.list(response.id)
    assert item.type == "message"


@pytest.mark.measures
def test_each_piece_comes_when_the_model_sends_it(chat: Endpoint) -> None:
    with chat.sdk.responses.stream(model="default", input="hello") as stream:
        stream.get_final_response()  # the SDK builds its types for half a second when they are used first
    chat.use_model("slow:5:300")
    with chat.sdk.responses.stream(model="default", input="hello") as stream:
        arrived = [
            (time.time() * 1000, float(event.delta)) for event in stream if event.type == "response.output_text.delta"
        ]
        final = stream.get_final_response()

    assert len(arrived) == 5
    assert max(received - sent for received, sent in arrived) < 250  # below the model's own pace: nothing was held back
    assert len(final.output_text.split()) == 5


def test_the_conversation_reaches_the_model(chat: Endpoint) -> None:
    first = chat.sdk.responses.create(model="default", input="My name is Ada.", instructions="Be brief.")
    chat.use_model("echo")
    second = chat.sdk.responses.create(
        model="default",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "What is my name?"}]}],
        previous_response_id=first.id,
        max_output_tokens=77,
        reasoning={"effort": "low"},
        extra_body={"unknown_extra": {"a": [1]}},
    )

    seen = json.loads(second.output_text)["body"]

    assert seen["messages"] == [
        {"role": "system", "content": "You are a test."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "What is my name?"},
    ]
    assert (seen["max_completion_tokens"], seen["reasoning_effort"]) == (77, "low")
    assert (seen["unknown_extra"], seen["model"]) == ({"a": [1]}, "echo")
    assert not {"previous_response_id", "input", "reasoning", "store"} & seen.keys()


def test_calls_of_functions_are_answered(chat: Endpoint) -> None:
    chat.use_model("tools")
    first = chat.sdk.responses.create(model="default", input="Weather and time?", tools=TOOLS)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("get_weather", {"city": "Łódź"}),
        ("get_time", {}),
    ]
    outputs: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "fine"} for call in calls]
    chat.use_model("echo")

    second = chat.sdk.responses.create(model="default", input=outputs, tools=TOOLS, previous_response_id=first.id)

    messages = json.loads(second.output_text)["body"]["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "tool"]
    assert [call["id"] for call in messages[2]["tool_calls"]] == [message["tool_call_id"] for message in messages[3:]]


def test_a_background_response_goes_on_when_its_proxy_dies(chat: Endpoint) -> None:
    chat.use_model("slow:40:150")
    stream = chat.sdk.responses.create(model="default", input="hello", background=True, stream=True)
    created = next(stream)
    assert created.type == "response.created"
    text, seen = "", -1
    for event in stream:
        seen = event.sequence_number
        if event.type == "response.output_text.delta":
            text += event.delta
            if len(text) > 40:
                break
    [pod] = chat.pods()
    chat.namespace.delete("pod", pod["metadata"]["name"], "--grace-period=0", "--force", "--wait=false")
    stream.close()

    deadline = time.monotonic() + LEAST * PATIENCE
    while event.type != "response.completed":
        assert time.monotonic() < deadline
        time.sleep(0.2)
        # Nobody answers yet, or one who is about to go.
        with suppress(openai.APIConnectionError, openai.InternalServerError, httpx2.TransportError):
            for event in chat.sdk.responses.retrieve(created.response.id, stream=True, starting_after=seen):
                seen = event.sequence_number
                if event.type == "response.output_text.delta":
                    text += event.delta

    assert event.response.output_text == text
    assert len(text.split()) == 40
    assert chat.namespace.run_ends(run_name(created.response))["result"] == text


def test_a_background_response_is_cancelled(chat: Endpoint) -> None:
    chat.use_model("hang")
    response = chat.sdk.responses.create(model="default", input="hello", background=True)
    assert response.status == "queued"
    until(lambda: chat.sdk.responses.retrieve(response.id).status == "in_progress", within=30)

    began = time.monotonic()
    cancelled = chat.sdk.responses.cancel(response.id)

    assert cancelled.status == "cancelled"
    assert time.monotonic() - began < 5 * PATIENCE
    until(lambda: not chat.namespace.list("pods", "-l", f"sympozium.ai/run={run_name(response)}"), within=30)


def test_a_deleted_response_is_gone_for_its_caller(chat: Endpoint) -> None:
    response = chat.sdk.responses.create(model="default", input="hello")
    chat.sdk.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        chat.sdk.responses.retrieve(response.id)
    assert "sympozium.ai/discarded" in chat.namespace.get("run", run_name(response))["metadata"]["annotations"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_that_leaves_cancels_its_response(chat: Endpoint, stream: bool) -> None:
    chat.use_model("hang")
    known = {run["metadata"]["name"] for run in chat.namespace.list("runs")}

    def made() -> str | None:
        return next(
            (run["metadata"]["name"] for run in chat.namespace.list("runs") if run["metadata"]["name"] not in known),
            None,
        )

    async def leaves() -> str | None:
        async with httpx2.AsyncClient(base_url=chat.url, headers=chat.http.headers, timeout=LONGEST) as http:
            asked = asyncio.create_task(http.post("/v1/responses", json={"input": "hello", "stream": stream}))
            run = await asyncio.to_thread(until, made, within=20)
            assert not asked.done()
            asked.cancel()
            await asyncio.wait([asked])
        return run

    run = asyncio.run(leaves())
    assert run
    assert chat.namespace.run_ends(run, within=10)["phase"] == "Cancelled"


def test_what_a_response_keeps_never_changes(namespace: Namespace, chat: Endpoint) -> None:
    response = chat.sdk.responses.create(model="default", input="hello")
    with pytest.raises(Exception, match="immutable"):
        namespace.patch("run", run_name(response), {"spec": {"response": {"model": "other"}}})
