"""Responses in the background: they continue without their caller, and any replica resumes their stream."""

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.responses import Response
from tests.fakes.pod import created_run, delta, done
from tests.integration.conftest import Proxy, eventually, instance
from tests.integration.responses_calls import CANCELLED, other_replica

from sympozium_api.resources import RUNS


@pytest.fixture
async def elsewhere(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with other_replica(proxy) as client:
        yield client


class TestInBackground:
    async def test_a_background_response_continues_without_its_caller(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
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
        assert not proxy.kubernetes.object(RUNS, pod.run)["spec"]["cancel"]
        assert not proxy.context.runs._broker._topics

    async def test_the_broken_stream_of_a_background_response_is_resumed(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
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
        assert not proxy.kubernetes.object(RUNS, pod.run)["spec"]["cancel"]

    async def test_another_replica_resumes_the_stream_of_a_background_response(
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

    async def test_a_background_response_can_be_cancelled(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
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

    async def test_the_same_idempotency_key_returns_the_same_response(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI
    ) -> None:
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
