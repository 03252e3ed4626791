"""The Responses API, as callers with the official SDK and pods meet in one web-proxy, or in two."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from tests.fakes.pod import FakePod, created_run, delta, done, failed
from tests.integration.conftest import Proxy
from tests.integration.responses_calls import CALL, TOOL, answered, other_replica, request_of

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS


@pytest.fixture
async def elsewhere(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with other_replica(proxy) as client:
        yield client


async def test_a_response_is_the_answer_of_its_run(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    response = await answered(
        proxy, sdk, "Hel", "lo", instructions="Be brief.", metadata={"a": "b"}, max_output_tokens=9, temperature=0.5
    )

    assert response.output_text == "Hello"
    assert response.status == "completed"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (3, 2, 5)
    assert (response.model, response.instructions, response.metadata) == ("smollm2", "Be brief.", {"a": "b"})
    assert (response.max_output_tokens, response.temperature, response.top_p) == (9, 0.5, 1)
    assert request_of(proxy, response) == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "max_completion_tokens": 9,
        "temperature": 0.5,
    }


async def test_a_response_can_be_fetched_at_any_replica(
    proxy: Proxy, sdk: openai.AsyncOpenAI, elsewhere: openai.AsyncOpenAI
) -> None:
    asked = asyncio.create_task(
        sdk.responses.create(model="default", input="hello", tools=[TOOL], text={"format": {"type": "json_object"}})
    )
    counts = {"prompt_tokens": 3, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}}
    await (await proxy.pod()).say({"type": "started"}, delta("Hello"), done("Hello") | {"usage": counts})
    response = await asked
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 1
    fetched = await elsewhere.responses.retrieve(response.id)
    assert fetched.to_dict() | {"completed_at": 0} == response.to_dict() | {"completed_at": 0}


async def test_a_response_continues_an_earlier_one_without_its_instructions(
    proxy: Proxy, sdk: openai.AsyncOpenAI, elsewhere: openai.AsyncOpenAI
) -> None:
    first = await answered(proxy, sdk, "Hello Ada.", input="I am Ada.", instructions="Be brief.")
    second = await answered(
        proxy, elsewhere, "Ada.", input="Who am I?", previous_response_id=first.id, instructions="Be kind.", among=2
    )
    third = await answered(proxy, sdk, "Bye.", input="Bye.", previous_response_id=second.id, among=3)

    assert second.previous_response_id == first.id
    assert [message["content"] for message in request_of(proxy, second)["messages"]] == [
        *("Be kind.", "I am Ada.", "Hello Ada.", "Who am I?")
    ]
    assert [(message["role"], message["content"]) for message in request_of(proxy, third)["messages"]] == [
        ("user", "I am Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?"),
        ("assistant", "Ada."),
        ("user", "Bye."),
    ]


async def test_the_output_of_a_function_goes_back_to_its_call(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    asked = asyncio.create_task(sdk.responses.create(model="default", input="Rain?", tools=[TOOL]))
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    end = done("") | {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    await (await proxy.pod()).say({"type": "started"}, end)
    first = await asked
    assert [item.type for item in first.output] == ["function_call"]
    outputs: Any = [{"type": "function_call_output", "call_id": "c1", "output": "sun"}]

    stored = await answered(proxy, sdk, "No.", input=outputs, previous_response_id=first.id, among=2)
    items: Any = [{"role": "user", "content": "Rain?"}, *(item.to_dict() for item in first.output), *outputs]
    resent = await answered(proxy, sdk, "No.", input=items, store=False, among=3)
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    referred = await answered(proxy, sdk, "No.", input=[items[0], reference, *outputs], among=4)

    expected = [
        {"role": "user", "content": "Rain?"},
        message,
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
    ]
    for response in (stored, resent, referred):
        assert request_of(proxy, response)["messages"] == expected


class TestWhatIsKept:
    async def test_the_input_items_of_a_response_are_listed_in_pages(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
        first = await answered(proxy, sdk, "b", input="a", instructions="Be brief.")
        texts: Any = [{"role": "user", "content": text} for text in "cde"]
        second = await answered(proxy, sdk, "f", input=texts, previous_response_id=first.id, among=2)

        listed = [item async for item in sdk.responses.input_items.list(second.id, limit=2, order="asc")]

        parts = [item.content[0] for item in listed if item.type == "message"]
        assert [part.text for part in parts if part.type == "input_text"] == ["c", "d", "e"]
        assert [item.id async for item in sdk.responses.input_items.list(second.id)] == [
            item.id for item in reversed(listed)
        ]
        with pytest.raises(openai.BadRequestError, match="'after'"):
            await sdk.responses.input_items.list(second.id, after="msg_unknown")
        with pytest.raises(openai.BadRequestError, match="'limit'"):
            await sdk.responses.input_items.list(second.id, limit=0)

    async def test_a_deleted_response_is_gone(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        response = await answered(proxy, sdk, "Hello")
        await sdk.responses.delete(response.id)
        for call in (sdk.responses.retrieve, sdk.responses.delete, sdk.responses.cancel):
            with pytest.raises(openai.NotFoundError):
                await call(response.id)
        run = proxy.kubernetes.object(RUNS, response.id.removeprefix("resp_"))
        assert names.ANNOTATION_DISCARDED in run["metadata"]["annotations"]  # the operator deletes it

    async def test_a_response_deleted_in_progress_is_cancelled(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model="default", input="hello", background=True)
        await sdk.responses.delete(response.id)
        run = await created_run(proxy.kubernetes)
        assert run["spec"]["cancel"] is True
        assert (await FakePod(run, proxy.issuer, proxy.surface).task()).status_code == 410

    async def test_a_response_that_is_not_stored_cannot_be_fetched(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        response = await answered(proxy, sdk, "Hello", store=False)
        assert response.to_dict()["store"] is False
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(response.id)
        with pytest.raises(openai.BadRequestError, match="not found"):
            await sdk.responses.create(model="default", input="And?", previous_response_id=response.id)

    async def test_another_key_cannot_see_a_response(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        (proxy.keys / "api-key-bob").write_text("sk-bob")
        response = await answered(proxy, sdk, "Hello")
        proxy.clock.advance(2)
        async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="sk-bob", max_retries=0) as bob:
            for call in (
                bob.responses.retrieve(response.id),
                bob.responses.retrieve(response.id, stream=True),
                bob.responses.delete(response.id),
                bob.responses.cancel(response.id),
                bob.responses.input_items.list(response.id),
            ):
                with pytest.raises(openai.NotFoundError):
                    await call
            reference: Any = {"type": "item_reference", "id": response.output[0].id}
            for fields in ({"input": "And?", "previous_response_id": response.id}, {"input": [reference]}):
                with pytest.raises(openai.BadRequestError):
                    await bob.responses.create(model="default", **fields)
        assert len(proxy.kubernetes.names(RUNS)) == 1

    async def test_a_chat_completion_is_not_a_response(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await pod.answer("Hello")
        await asked
        for response in (f"resp_{pod.run}", "resp_none", "nonsense"):
            with pytest.raises(openai.NotFoundError):
                await sdk.responses.retrieve(response)


class TestRefusals:
    async def test_no_route_of_responses_works_without_a_key(self, proxy: Proxy) -> None:
        for method, path in (
            ("POST", "/v1/responses"),
            ("GET", "/v1/responses/resp_x"),
            ("DELETE", "/v1/responses/resp_x"),
            ("POST", "/v1/responses/resp_x/cancel"),
            ("GET", "/v1/responses/resp_x/input_items"),
        ):
            assert (await proxy.http.request(method, path)).status_code == 401

    async def test_a_response_in_progress_cannot_be_continued(self, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model="default", input="hello", background=True)
        with pytest.raises(openai.ConflictError, match="is in progress"):
            await sdk.responses.create(model="default", input="And?", previous_response_id=response.id)

    async def test_a_failed_response_cannot_be_continued(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model="default", input="hello", background=True)
        await (await proxy.pod()).say({"type": "started"}, failed("timeout", "too slow", 504))
        with pytest.raises(openai.BadRequestError, match="only a completed response can be continued"):
            await sdk.responses.create(model="default", input="And?", previous_response_id=response.id)

    async def test_a_conversation_that_has_grown_too_long_is_refused(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
        first = await answered(proxy, sdk, "b", input="x" * 40_000)
        with pytest.raises(openai.APIStatusError) as raised:
            await sdk.responses.create(model="default", input="x" * 40_000, previous_response_id=first.id)
        assert raised.value.status_code == 413
        assert raised.value.code == "conversation_too_large"

    async def test_responses_get_503_while_the_api_server_is_away(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        proxy.kubernetes.refuse("get", RUNS, ApiUnavailable("away"))
        with pytest.raises(openai.InternalServerError) as raised:
            await sdk.responses.retrieve("resp_demo-1")
        assert raised.value.status_code == 503
