"""Responses whose caller waits: their typed events, their failures, and their end when the caller disconnects."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import openai
import pytest
from tests.fakes.pod import delta, done, failed
from tests.integration.conftest import KEY, Proxy, eventually, silences
from tests.integration.responses_calls import CALL, TOOL, other_replica

from sympozium_api.resources import RUNS


@pytest.fixture
async def elsewhere(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with other_replica(proxy) as client:
        yield client


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


class TestInForeground:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_disconnect_cancels_a_foreground_response(self, proxy: Proxy, stream: bool) -> None:
        body = {"input": "hello", "stream": stream}
        asked = asyncio.create_task(
            proxy.http.post("/v1/responses", json=body, headers={"Authorization": f"Bearer {KEY}"})
        )
        pod = await proxy.pod()
        asked.cancel()
        await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel") is True)

    async def test_a_second_reader_does_not_keep_a_response_alive(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
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
    async def test_a_failure_before_the_first_event_is_a_status(
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

    async def test_a_failure_after_the_first_event_is_the_last_event(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
        opening = asyncio.create_task(sdk.responses.create(model="default", input="hello", stream=True))
        pod = await proxy.pod()
        await pod.say({"type": "started"}, delta("Hel"), failed("model_error", "the model broke off", 502))
        events = [event async for event in await opening]
        assert events[-1].type == "response.failed"
        assert events[-1].response.error is not None
        assert events[-1].response.error.message == "the model broke off"

    async def test_a_silent_stream_begins_and_stays_open(self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
        kept_alive = silences(monkeypatch)
        proxy.context.settings = replace(proxy.context.settings, keep_alive_seconds=0.1)
        body = {"input": "hello", "stream": True}
        asked = asyncio.create_task(
            proxy.http.post("/v1/responses", json=body, headers={"Authorization": f"Bearer {KEY}"})
        )
        pod = await proxy.pod()
        await eventually(lambda: len(kept_alive) > 1)  # the first silence lets the stream begin
        await pod.answer("Hello")
        response = await asked
        assert response.headers["x-sympozium-run"] == pod.run
        assert response.text.startswith("event: response.created\ndata: {")
        assert ": keep-alive\n\n" in response.text
        assert response.text.endswith("data: [DONE]\n\n")
