"""Answers of real model servers, from the wire to each of the caller's protocols, streamed and whole."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from tests.fakes.agents import Agents
from tests.fakes.odd_model import LARGE, OddModel, odd_serving
from tests.integration.conftest import KEY, Proxy
from tests.mcp_clients import connected

MESSAGES: Any = [{"role": "user", "content": "hello"}]
TOOL: Any = {"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}
TEXTS = (
    *("magistral", "magistral-list", "reasoning", "empty-data", "keepalive-data", "unknown-events", "unmarked"),
    *(
        "no-finish-reason",
        "odd-finish-reason",
        "moonshot",
        "json-as-text",
        "json-as-events",
        "json-untyped",
        "json-parts",
    ),
    *("comments", "cr", "crlf", "no-space", "azure", "usage-in-each", "reasoning-content", "parts-then-texts"),
    *("events-as-json", "gzip", "gzip-members", "gzip-cut-after-its-end", "deflate"),
)
THINKING = ("magistral", "magistral-list", "reasoning", "json-parts", "reasoning-content", "parts-then-texts")
CALLS = ("no-index", "restarting", "objects", "json-tools")


@pytest.fixture
async def odd() -> AsyncIterator[OddModel]:
    async with odd_serving() as running:
        yield running


async def use(proxy: Proxy, odd: OddModel, name: str) -> None:
    await proxy.use_model(odd, name)  # type: ignore[arg-type]


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("name", TEXTS)
async def test_every_form_of_text_reaches_the_caller_whole(
    proxy: Proxy, odd: OddModel, sdk: openai.AsyncOpenAI, name: str
) -> None:
    await use(proxy, odd, name)
    whole = await sdk.chat.completions.create(model="default", messages=MESSAGES)
    async with sdk.chat.completions.stream(
        model="default", messages=MESSAGES, stream_options={"include_usage": True}
    ) as stream:
        streamed = await stream.get_final_completion()
    response = await sdk.responses.create(model="default", input="hello")
    async with connected(proxy.url, KEY) as client:
        called = await client.call_tool("ask_agent", {"task": "hello"})
    assert called.structured_content is not None
    assert (called.structured_content["text"], called.structured_content["finishReason"]) == ("Hello", "stop")
    for completion in (whole, streamed):
        [choice] = completion.choices
        assert (choice.message.content, choice.finish_reason) == ("Hello", "stop")
        extra = choice.message.model_extra or {}
        assert extra.get("reasoning_content", extra.get("reasoning")) == ("I think" if name in THINKING else None)
    assert response.output_text == "Hello"
    reasoning = [part.text for item in response.output if item.type == "reasoning" for part in item.summary]
    assert reasoning == (["I think"] if name in THINKING else [])
    assert streamed.usage == whole.usage


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("name", CALLS)
async def test_every_form_of_tool_calls_reaches_the_caller_once(
    proxy: Proxy, odd: OddModel, sdk: openai.AsyncOpenAI, name: str
) -> None:
    await use(proxy, odd, name)
    whole = await sdk.chat.completions.create(model="default", messages=MESSAGES, tools=[TOOL])
    async with sdk.chat.completions.stream(model="default", messages=MESSAGES, tools=[TOOL]) as stream:
        streamed = await stream.get_final_completion()
    response = await sdk.responses.create(model="default", input="hello")
    for completion in (whole, streamed):
        [choice] = completion.choices
        calls: Any = choice.message.tool_calls
        assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in calls] == [
            ("call_1", "read", {"a": 1}),
            ("call_2", "write", {"b": 2}),
        ]
        assert choice.finish_reason == "tool_calls"
    outputs: Any = response.output
    assert [(item.call_id, item.name) for item in outputs] == [("call_1", "read"), ("call_2", "write")]


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("one-without-index", '{"a": 1}'),
        ("without-id", '{"a": 1}'),
        ("without-arguments", "{}"),
        ("large-arguments", LARGE),
    ],
)
async def test_every_form_of_one_tool_call_reaches_the_caller_whole(
    proxy: Proxy, odd: OddModel, sdk: openai.AsyncOpenAI, name: str, arguments: str
) -> None:
    await use(proxy, odd, name)
    whole = await sdk.chat.completions.create(model="default", messages=MESSAGES, tools=[TOOL])
    async with sdk.chat.completions.stream(model="default", messages=MESSAGES, tools=[TOOL]) as stream:
        streamed = await stream.get_final_completion()
    outputs: Any = (await sdk.responses.create(model="default", input="hello")).output
    for completion in (whole, streamed):
        [choice] = completion.choices
        calls: Any = choice.message.tool_calls
        [call] = calls
        assert (call.function.name, json.loads(call.function.arguments or "{}")) == ("read", json.loads(arguments))
        assert call.id
        assert choice.finish_reason == "tool_calls"
    [item] = outputs
    assert (item.name, json.loads(item.arguments or "{}")) == ("read", json.loads(arguments))
    assert item.call_id


@pytest.mark.usefixtures("agents")
async def test_a_legacy_function_call_is_what_the_caller_asked_with(
    proxy: Proxy, odd: OddModel, sdk: openai.AsyncOpenAI
) -> None:
    await use(proxy, odd, "function-call")
    functions: Any = [TOOL["function"]]
    [legacy] = (await sdk.chat.completions.create(model="default", messages=MESSAGES, functions=functions)).choices
    [choice] = (await sdk.chat.completions.create(model="default", messages=MESSAGES, tools=[TOOL])).choices
    assert legacy.message.function_call
    assert (legacy.message.function_call.arguments, legacy.finish_reason) == ('{"a": 1}', "function_call")
    calls: Any = choice.message.tool_calls
    assert (calls[0].function.arguments, choice.finish_reason) == ('{"a": 1}', "tool_calls")


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("stream", [False, True])
async def test_the_models_own_error_reaches_the_caller_again_for_the_same_key(
    proxy: Proxy, odd: OddModel, stream: bool
) -> None:
    await use(proxy, odd, "refused")
    for _ in range(2):
        response = await proxy.chat(headers={"Idempotency-Key": "k"}, stream=stream)
        assert response.status_code == 400
        assert response.json()["error"] == {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
        assert response.headers["x-sympozium-error"] == "model_error"
    assert len(odd.requests) == 1


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("stream", [False, True])
async def test_the_models_own_error_reaches_the_caller_of_a_response(proxy: Proxy, odd: OddModel, stream: bool) -> None:
    await use(proxy, odd, "refused")
    response = await proxy.http.post(
        "/v1/responses", json={"input": "hello", "stream": stream}, headers={"Authorization": f"Bearer {KEY}"}
    )
    error = response.json()["error"]
    assert (response.status_code, response.headers["x-sympozium-error"]) == (400, "model_error")
    assert (error["code"], error["param"], error["message"]) == ("context_length_exceeded", "messages", "too long")


@pytest.mark.usefixtures("agents")
async def test_the_models_own_words_reach_the_caller_of_a_tool(proxy: Proxy, odd: OddModel) -> None:
    await use(proxy, odd, "refused")
    async with connected(proxy.url, KEY) as client:
        called = await client.call_tool("ask_agent", {"task": "hello"})
    assert called.is_error
    assert called.structured_content is not None
    assert called.structured_content["error"] == {"type": "model_error", "message": "too long"}


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    ("name", "status", "code", "message"),
    [
        ("limited", 429, "RESOURCE_EXHAUSTED", "quota"),
        ("unauthorised", 502, "model_error", "bad key"),
        ("error-first", 400, "c_l_e", "too long"),
        ("error-as-answer", 502, "overloaded", "overloaded"),
        ("error-event", 429, "429", "slow down"),
        ("gzip-cut", 502, "model_error", "answer was cut: its compressed content was cut"),
        ("gzip-json-cut", 502, "model_error", "answer was cut: its compressed content was cut"),
        ("brotli", 502, "model_error", "content encoding is 'br'"),
        ("moved", 502, "model_error", "/v2/chat/completions (307); redirects are not followed"),
        ("moved-nowhere", 502, "model_error", "The model server redirects (307); redirects are not followed"),
    ],
)
async def test_an_error_in_any_form_has_its_status_and_its_words(
    proxy: Proxy, odd: OddModel, name: str, status: int, code: str, message: str
) -> None:
    await use(proxy, odd, name)
    response = await proxy.chat()
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert message in error["message"]
    assert "secret" not in response.text
    assert response.headers.get("retry-after") == {"limited": "17", "error-event": "1"}.get(name)


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("error-late", '"c_l_e"'),
        ("bare-error-late", "out of memory"),
        ("error-as-text", "out of memory"),
        ("failed", "'error'"),
    ],
)
async def test_an_error_within_a_stream_is_never_a_success(proxy: Proxy, odd: OddModel, name: str, words: str) -> None:
    await use(proxy, odd, name)
    assert (await proxy.chat()).status_code == 502
    streamed = (await proxy.chat(stream=True)).text
    assert words in streamed
    assert "[DONE]" not in streamed


@pytest.mark.usefixtures("agents")
async def test_a_base_url_keeps_its_query(proxy: Proxy, odd: OddModel, agents: Agents) -> None:
    address = f"{odd.url}/?api-version=1&x=/"
    await proxy.use_model(odd, "unmarked", agent={"baseURL": address, "embeddingModels": ["unmarked"]})  # type: ignore[arg-type]
    assert (await proxy.chat()).status_code == 200
    assert odd.requests[-1].target == "/v1/chat/completions?api-version=1&x=/"
    await proxy.http.post(
        "/v1/embeddings", json={"input": "One", "model": "unmarked"}, headers={"Authorization": "Bearer sk-test"}
    )
    assert odd.requests[-1].target == "/v1/embeddings?api-version=1&x=/"
