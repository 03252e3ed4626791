"""The Responses API, as callers with the official SDK and pods meet in one web-proxy, or in two."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from tests.fakes.clock import FakeClock
from tests.fakes.pod import FakePod, created_run, delta, done, failed
from tests.integration.conftest import KEY, Proxy, assembled, eventually, instance

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS

TOOL: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


@pytest.fixture
async def elsewhere(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of another replica: it shares nothing with the first but the cluster."""
    async with (
        assembled(proxy.kubernetes, proxy.context.settings, FakeClock()) as (_, url, _, _),
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        yield client


async def answered(proxy: Proxy, sdk: openai.AsyncOpenAI, *words: str, among: int = 1, **fields: Any) -> Response:
    """A response whose pod says these words."""
    asked = asyncio.create_task(sdk.responses.create(**{"model": "default", "input": "hello"} | fields))
    await (await proxy.pod(among=among)).answer(*words)
    response: Response = await asked
    return response


def request_of(proxy: Proxy, response: Response) -> dict[str, Any]:
    """What the run of a response asks its model."""
    found: dict[str, Any] = proxy.kubernetes.object(RUNS, response.id.removeprefix("resp_"))["spec"]["request"]
    return found


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


async def test_events_reach_the_caller_while_the_pod_still_writes(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    rest_may_come = asyncio.Event()
    opening = asyncio.create_task(sdk.responses.create(model="default", input="hello", stream=True))
    pod = await proxy.pod()
    speaking = asyncio.create_task(
        pod.say({"type": "started"}, delta("Hel"), rest_may_come, delta("lo"), done("Hello"))
    )
    stream = aiter(await opening)
    first = [await anext(stream) for _ in range(5)]
    assert not speaking.done()
    rest_may_come.set()
    rest = [event async for event in stream]

    assert [event.type for event in first] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ]
    assert [event.type for event in rest] == [
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbers = [event.sequence_number for event in (*first, *rest)]
    assert numbers == sorted(set(numbers))
    assert rest[-1].type == "response.completed"
    assert rest[-1].response.output_text == "Hello"
    await speaking


async def test_the_sdks_own_accumulation_agrees_with_the_events(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    async with sdk.responses.stream(model="default", input="hello", tools=[TOOL]) as stream:
        pod = await proxy.pod()
        message = {"role": "assistant", "content": "Look.", "tool_calls": [CALL]}
        called = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        arguments = [{"index": 0, "function": {"arguments": part}} for part in ('{"city"', ': "Paris"}')]
        pieces = [{"tool_calls": [part]} for part in (called, *arguments)]
        speaking = asyncio.create_task(
            pod.say(
                {"type": "started"},
                delta("Look."),
                *({"type": "delta", "choices": [{"index": 0, "delta": piece}]} for piece in pieces),
                done("") | {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]},
            )
        )
        types = [event.type async for event in stream]
        final = await stream.get_final_response()
    await speaking
    assert types.count("response.function_call_arguments.delta") == 2
    assert final.output_text == "Look."
    call = final.output[1]
    assert call.type == "function_call"
    assert (call.call_id, call.name, json.loads(call.arguments)) == ("c1", "weather", {"city": "Paris"})


async def test_a_response_goes_on_from_an_earlier_one_without_its_instructions(
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


class TestInBackground:
    async def test_it_goes_on_without_its_caller(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model="default", input="hello", background=True)
        assert (response.status, response.background, response.output) == ("queued", True, [])
        pod = await proxy.pod()
        rest_may_come = asyncio.Event()
        speaking = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), rest_may_come, done("Hello")))
        await eventually(lambda: proxy.context.runs._broker.has_records(("default", pod.run)))
        assert (await sdk.responses.retrieve(response.id)).status == "in_progress"
        rest_may_come.set()
        await speaking
        ended = await sdk.responses.retrieve(response.id)
        assert (ended.status, ended.output_text) == ("completed", "Hello")
        assert "cancel" not in proxy.kubernetes.object(RUNS, pod.run)["spec"]
        assert not proxy.context.runs._broker._topics

    async def test_its_stream_may_break_and_be_gone_on_with(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        stream = await sdk.responses.create(model="default", input="hello", background=True, stream=True)
        created = await anext(aiter(stream))
        assert created.type == "response.created"
        assert created.response.status == "queued"
        pod = await proxy.pod()
        rest_may_come = asyncio.Event()
        speaking = asyncio.create_task(
            pod.say({"type": "started"}, delta("Hel"), rest_may_come, delta("lo"), done("Hello"))
        )
        in_progress = await anext(aiter(stream))
        assert in_progress.type == "response.in_progress"
        assert in_progress.response.status == "in_progress"
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        resumed = await sdk.responses.retrieve(created.response.id, stream=True, starting_after=event.sequence_number)
        rest_may_come.set()
        events = [event async for event in resumed]
        await speaking
        assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["lo"]
        assert events[-1].type == "response.completed"
        assert "cancel" not in proxy.kubernetes.object(RUNS, pod.run)["spec"]

    async def test_its_stream_goes_on_at_another_replica(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI, elsewhere: openai.AsyncOpenAI
    ) -> None:
        stream = await sdk.responses.create(model="default", input="hello", background=True, stream=True)
        created = await anext(aiter(stream))
        assert created.type == "response.created"
        pod = await proxy.pod()
        rest_may_come = asyncio.Event()
        speaking = asyncio.create_task(
            pod.say({"type": "started"}, delta("Hel"), rest_may_come, delta("lo"), delta("!"), done("Hello!"))
        )
        had = []
        async for event in stream:
            had.append(event)
            if event.type == "response.output_text.delta":
                break
        await stream.close()

        resumed = await elsewhere.responses.retrieve(
            created.response.id, stream=True, starting_after=had[-1].sequence_number
        )
        rest_may_come.set()
        events = [event async for event in resumed]
        await speaking

        assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["lo!"]
        assert events[-1].type == "response.completed"
        assert events[-1].response.output_text == "Hello!"
        numbers = [event.sequence_number for event in (*had, *events)]
        assert numbers == sorted(set(numbers))
        again = await elsewhere.responses.retrieve(
            created.response.id, stream=True, starting_after=events[1].sequence_number
        )
        assert [event.to_dict() async for event in again] == [event.to_dict() for event in events[2:]]

    async def test_it_can_be_cancelled(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model="default", input="hello", background=True)
        run = await created_run(proxy.kubernetes)
        proxy.kubernetes.meanwhile(
            "patch",
            RUNS,
            lambda: proxy.kubernetes.put(run | {"status": {"phase": "Cancelled", "error": CANCELLED}}),
        )
        cancelled = await sdk.responses.cancel(response.id)
        assert cancelled.status == "cancelled"
        assert cancelled.error is None
        assert (await sdk.responses.cancel(response.id)).status == "cancelled"

    async def test_the_same_idempotency_key_is_the_same_response(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        async def ask(text: str) -> Response:
            headers = {"Idempotency-Key": "k"}
            return await sdk.responses.create(model="default", input=text, background=True, extra_headers=headers)

        first = await ask("hello")
        agent = {"model": "other", "baseURL": "http://model/v1", "runTimeout": "10m"}
        proxy.kubernetes.put(instance(agents={"default": agent}))
        await eventually(lambda: proxy.context.instance_cache.served().instance.spec.agents.default.model == "other")
        again = await ask("hello")
        assert (again.id, again.model) == (first.id, "smollm2")
        assert len(proxy.kubernetes.names(RUNS)) == 1
        with pytest.raises(openai.UnprocessableEntityError):
            await ask("bye")


CANCELLED = {"type": "cancelled", "message": "the run was cancelled", "httpStatus": 499}


class TestInForeground:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_caller_that_leaves_cancels(self, proxy: Proxy, stream: bool) -> None:
        body = {"input": "hello", "stream": stream}
        asked = asyncio.create_task(
            proxy.http.post("/v1/responses", json=body, headers={"Authorization": f"Bearer {KEY}"})
        )
        pod = await proxy.pod()
        asked.cancel()
        await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel") is True)

    async def test_one_who_only_looks_on_does_not_keep_it(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        asked = asyncio.create_task(sdk.responses.create(model="default", input="hello"))
        pod = await proxy.pod()
        looking = await sdk.responses.retrieve(f"resp_{pod.run}", stream=True)
        asked.cancel()
        await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel") is True)
        await looking.close()

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        ("record", "kind"),
        [
            (failed("model_error", "slow down", 429), openai.RateLimitError),
            (failed("model_error", "context too long", 400), openai.BadRequestError),
            (failed("start_failed", "no image", 503), openai.InternalServerError),
        ],
    )
    async def test_a_failure_before_anything_was_said_is_a_status(
        self,
        proxy: Proxy,
        sdk: openai.AsyncOpenAI,
        stream: bool,
        record: dict[str, Any],
        kind: type[openai.APIStatusError],
    ) -> None:
        proxy.context.settings = replace(proxy.context.settings, keep_alive_seconds=60)
        asked = asyncio.create_task(sdk.responses.create(model="default", input="hello", stream=stream))
        pod = await proxy.pod()
        await pod.say({"type": "started"}, record)
        with pytest.raises(kind, match=record["error"]["message"]):
            await asked
        kept = await sdk.responses.retrieve(f"resp_{pod.run}")
        assert kept.status == "failed"
        assert kept.error is not None
        assert kept.error.message == record["error"]["message"]

    async def test_a_failure_later_is_the_last_event(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        opening = asyncio.create_task(sdk.responses.create(model="default", input="hello", stream=True))
        pod = await proxy.pod()
        await pod.say({"type": "started"}, delta("Hel"), failed("model_error", "the model broke off", 502))
        events = [event async for event in await opening]
        assert events[-1].type == "response.failed"
        assert events[-1].response.error is not None
        assert events[-1].response.error.message == "the model broke off"

    async def test_while_nothing_comes_the_stream_begins_and_stays_open(self, proxy: Proxy) -> None:
        proxy.context.settings = replace(proxy.context.settings, keep_alive_seconds=0.1)
        body = {"input": "hello", "stream": True}
        asked = asyncio.create_task(
            proxy.http.post("/v1/responses", json=body, headers={"Authorization": f"Bearer {KEY}"})
        )
        pod = await proxy.pod()
        await asyncio.sleep(0.3)  # longer than keep_alive_seconds: silence is what is tested
        await pod.answer("Hello")
        response = await asked
        assert response.headers["x-sympozium-run"] == pod.run
        assert response.text.startswith("event: response.created\ndata: {")
        assert ": keep-alive\n\n" in response.text
        assert response.text.endswith("data: [DONE]\n\n")


class TestWhatIsKept:
    async def test_the_callers_own_items_are_listed_in_pages(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
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

    async def test_a_response_that_is_deleted_while_it_goes_on_ends(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
        response = await sdk.responses.create(model="default", input="hello", background=True)
        await sdk.responses.delete(response.id)
        run = await created_run(proxy.kubernetes)
        assert run["spec"]["cancel"] is True
        assert (await FakePod(run, proxy.issuer, proxy.surface).task()).status_code == 410

    async def test_what_is_not_to_be_stored_cannot_be_fetched(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        response = await answered(proxy, sdk, "Hello", store=False)
        assert response.to_dict()["store"] is False
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(response.id)
        with pytest.raises(openai.BadRequestError, match="not found"):
            await sdk.responses.create(model="default", input="And?", previous_response_id=response.id)

    async def test_another_key_sees_nothing_of_it(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
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

    async def test_a_chat_completion_is_no_response(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await pod.answer("Hello")
        await asked
        for response in (f"resp_{pod.run}", "resp_none", "nonsense"):
            with pytest.raises(openai.NotFoundError):
                await sdk.responses.retrieve(response)


class TestRefusals:
    async def test_nothing_is_done_without_a_key(self, proxy: Proxy) -> None:
        for method, path in (
            ("POST", "/v1/responses"),
            ("GET", "/v1/responses/resp_x"),
            ("DELETE", "/v1/responses/resp_x"),
            ("POST", "/v1/responses/resp_x/cancel"),
            ("GET", "/v1/responses/resp_x/input_items"),
        ):
            assert (await proxy.http.request(method, path)).status_code == 401

    async def test_a_response_that_goes_on_has_nothing_to_go_on_from(self, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model="default", input="hello", background=True)
        with pytest.raises(openai.ConflictError, match="has not ended"):
            await sdk.responses.create(model="default", input="And?", previous_response_id=response.id)

    async def test_a_response_that_failed_has_nothing_to_go_on_from(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
        response = await sdk.responses.create(model="default", input="hello", background=True)
        await (await proxy.pod()).say({"type": "started"}, failed("timeout", "too slow", 504))
        with pytest.raises(openai.BadRequestError, match="no answer"):
            await sdk.responses.create(model="default", input="And?", previous_response_id=response.id)

    async def test_a_conversation_that_has_grown_too_long_is_refused(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
        first = await answered(proxy, sdk, "b", input="x" * 40_000)
        with pytest.raises(openai.APIStatusError) as raised:
            await sdk.responses.create(model="default", input="x" * 40_000, previous_response_id=first.id)
        assert raised.value.status_code == 413
        assert raised.value.code == "conversation_too_large"

    async def test_the_api_server_is_away(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        proxy.kubernetes.refuse("get", RUNS, ApiUnavailable("away"))
        with pytest.raises(openai.InternalServerError) as raised:
            await sdk.responses.retrieve("resp_demo-1")
        assert raised.value.status_code == 503
