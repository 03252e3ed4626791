"""Which model answers, and how long a caller waits for it."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import openai
import pytest
from tests.fakes.agents import Agents
from tests.fakes.model import Model
from tests.fakes.pod import created_run, delta
from tests.integration.conftest import Proxy, eventually

from sympozium_api.resources import RUNS
from sympozium_runs.runs import RunHandle

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("name", ["echo", "demo", "default"])
async def test_the_instances_model_has_three_names(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI, name: str
) -> None:
    await proxy.use_model(model, "echo")
    answer = await sdk.chat.completions.create(model=name, messages=MESSAGES)
    assert answer.model == "echo"
    assert json.loads(answer.choices[0].message.content or "")["body"]["model"] == "echo"


async def test_a_model_that_the_instance_allows_is_called_by_its_name(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "instant", agent={"allowedModels": ["echo", "rich"]})
    answer = await sdk.chat.completions.create(model="echo", messages=MESSAGES)
    assert answer.model == "echo"
    assert json.loads(answer.choices[0].message.content or "")["body"]["model"] == "echo"
    assert [found.id async for found in await sdk.models.list()] == ["instant", "demo", "default", "echo", "rich"]
    assert (await sdk.models.retrieve("rich")).id == "rich"
    with pytest.raises(openai.NotFoundError) as unknown:
        await sdk.chat.completions.create(model="tools", messages=MESSAGES)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")


async def test_a_response_is_answered_by_the_model_that_it_names(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "instant", agent={"allowedModels": ["echo"]})
    response = await sdk.responses.create(model="echo", input="hello")
    assert response.model == "echo"
    assert json.loads(response.output_text)["body"]["model"] == "echo"


def held_deadlines(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Let deadlines hold once a test calls them: how long it takes until then is a matter of the machine."""
    held, expire_after = list[Callable[[], None]](), RunHandle.expire_after

    def hold(handle: RunHandle, seconds: float, *, since: float) -> None:
        held.append(partial(expire_after, handle, seconds, since=since))

    monkeypatch.setattr(RunHandle, "expire_after", hold)
    return held


class TestDeadline:
    async def test_a_request_past_its_deadline_gets_504_and_its_run_is_cancelled(self, proxy: Proxy) -> None:
        response = await proxy.chat(headers={"x-request-timeout": "0.2"})

        assert response.status_code == 504
        assert response.json()["error"]["code"] == "deadline_exceeded"
        assert response.headers["x-should-retry"] == "false"
        run = response.headers["x-sympozium-run"]
        await eventually(lambda: proxy.kubernetes.object(RUNS, run)["spec"].get("cancel") is True)

    async def test_a_stream_past_its_deadline_ends_with_an_error_frame(
        self, proxy: Proxy, sdk: openai.AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deadlines = held_deadlines(monkeypatch)
        asked = asyncio.create_task(
            sdk.chat.completions.create(
                model="default", messages=MESSAGES, stream=True, extra_headers={"x-request-timeout": "1s"}
            )
        )
        pod = await proxy.pod()
        speaking = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), asyncio.Event()))
        chunks = aiter(await asked)
        assert (await anext(chunks)).choices[0].delta.content == "Hel"
        deadlines.pop()()
        with pytest.raises(openai.APIError, match="within 1 s"):
            await anext(chunks)
        await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel") is True)
        speaking.cancel()

    async def test_a_background_response_has_no_deadline(self, proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
        late = {"x-request-timeout": "0.2"}
        asked: Any = {"model": "default", "input": "hello", "extra_headers": late}
        background = await sdk.responses.create(**asked, background=True)
        with pytest.raises(openai.APIStatusError) as foreground:
            await sdk.responses.create(**asked)
        assert (foreground.value.status_code, foreground.value.code) == (504, "deadline_exceeded")
        run = foreground.value.response.headers["x-sympozium-run"]
        await eventually(lambda: proxy.kubernetes.object(RUNS, run)["spec"].get("cancel") is True)
        spec = proxy.kubernetes.object(RUNS, background.id.removeprefix("resp_"))["spec"]
        assert not spec["cancel"]
        assert "timeout" not in spec

    @pytest.mark.usefixtures("agents")
    async def test_an_answer_before_the_deadline_cancels_nothing(self, proxy: Proxy) -> None:
        response = await proxy.chat(headers={"x-request-timeout": "30"})
        assert response.status_code == 200
        run = proxy.kubernetes.object(RUNS, response.headers["x-sympozium-run"])
        assert not run["spec"]["cancel"]
        assert run["spec"]["timeout"] == "30s"

    async def test_a_caller_that_waits_longer_keeps_the_run(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deadlines = held_deadlines(monkeypatch)
        headers = {"Idempotency-Key": "k"}
        short = asyncio.create_task(proxy.chat(headers=headers | {"x-request-timeout": "0.2"}))
        pod = await proxy.pod()
        long = asyncio.create_task(proxy.chat(headers=headers))
        await eventually(lambda: len(proxy.context.runs._broker._topics["default", pod.run].subscribers) == 2)
        deadlines.pop()()
        assert (await short).status_code == 504
        await pod.answer("Hello")
        assert (await long).status_code == 200
        assert not proxy.kubernetes.object(RUNS, pod.run)["spec"]["cancel"]

    async def test_the_instances_timeout_applies_if_it_is_shorter_than_the_deadline(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat(headers={"x-request-timeout": "3600"}))
        run = await created_run(proxy.kubernetes)
        asked.cancel()
        assert "timeout" not in run["spec"]

    @pytest.mark.parametrize("value", ["", "0", "-1", "soon", "1e3", "100000", "1m", "NaN", "1.5.5"])
    async def test_a_deadline_that_is_not_a_number_of_seconds_is_refused(self, proxy: Proxy, value: str) -> None:
        response = await proxy.chat(headers={"x-request-timeout": value})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "x-request-timeout"
        assert proxy.kubernetes.names(RUNS) == []
