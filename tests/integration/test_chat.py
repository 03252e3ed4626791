"""POST /v1/chat/completions, as callers and pods meet in one web-proxy."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import openai
import pytest
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import created_run, delta, done, failed, request_of
from tests.integration.conftest import KEY, Proxy, eventually, silences

from sympozium_api import names
from sympozium_api.resources import RUNS

MESSAGES: Any = [{"role": "user", "content": "hello"}]


async def test_a_blocking_request_gets_the_answer_of_its_pod(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    asked = asyncio.create_task(sdk.chat.completions.create(model="default", messages=MESSAGES))
    pod = await proxy.pod()
    assert (await pod.answer("Hel", "lo")).json() == {"stored": True}

    answer = await asked

    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "smollm2"
    assert answer.id == f"chatcmpl-{pod.run}"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5


async def test_the_terminal_status_has_the_moments_the_duration_and_the_model(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    await pod.say({"type": "started"}, delta("Hel"), done("Hello"))
    await asked
    status = proxy.kubernetes.object(RUNS, pod.run)["status"]
    assert sorted(status["times"]) == ["acceptedAt", "endedAt", "firstTokenAt"]
    assert status["times"]["acceptedAt"] <= status["times"]["firstTokenAt"] <= status["times"]["endedAt"]
    assert (status["model"], status["duration"][-1]) == ("smollm2", "s")
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [("Complete", "True")]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_address_of_an_unreachable_model_stands_in_the_status_and_not_in_the_answer(
    proxy: Proxy, stream: bool
) -> None:
    address = "Cannot reach the model at http://vllm.models.svc:8000/v1: name not found (spec.agents.default.baseURL)."
    record = failed("model_unreachable", address, 502)
    record["error"]["code"] = "NameNotFound"
    asked = asyncio.create_task(proxy.chat(stream=stream))
    pod = await proxy.pod()
    await pod.say({"type": "started"}, record)
    response = await asked
    assert (response.status_code, response.headers["x-sympozium-error"]) == (502, "model_unreachable")
    error = response.json()["error"]
    assert (error["code"], error["message"]) == ("model_unreachable", "The model cannot be reached (NameNotFound).")
    assert proxy.kubernetes.object(RUNS, pod.run)["status"]["error"]["message"] == address


async def test_the_terminal_status_is_stored_when_the_pod_is_acknowledged(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    await pod.answer("Hello")

    status = proxy.kubernetes.object(RUNS, pod.run)["status"]

    assert status["phase"] == "Succeeded"
    assert status["result"] == "Hello"
    assert status["podName"] == pod.name
    assert status["startedAt"] <= status["completedAt"]
    assert (await asked).headers["x-sympozium-run"] == pod.run


async def test_chunks_reach_the_caller_while_the_pod_still_writes(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    stream = asyncio.create_task(
        sdk.chat.completions.create(
            model="default", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    pod = await proxy.pod()
    rest_may_come = asyncio.Event()
    pod_is_done = asyncio.create_task(
        pod.say({"type": "started"}, delta("Hel"), rest_may_come, delta("lo"), done("Hello"))
    )

    chunks = aiter(await stream)
    first = await anext(chunks)
    assert not pod_is_done.done()
    rest_may_come.set()
    rest = [chunk async for chunk in chunks]

    assert first.choices[0].delta.role == "assistant"
    assert first.choices[0].delta.content == "Hel"
    assert [chunk.choices[0].delta.content for chunk in rest[:-2]] == ["lo"]
    assert rest[-2].choices[0].finish_reason == "stop"
    assert rest[-1].choices == []
    assert rest[-1].usage is not None
    assert rest[-1].usage.total_tokens == 5
    assert {chunk.id for chunk in (first, *rest)} == {f"chatcmpl-{pod.run}"}
    await pod_is_done


async def test_a_stream_ends_with_done_and_sends_comments_while_the_pod_starts(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.context.settings = replace(proxy.context.settings, keep_alive_seconds=0.2)
    kept_alive = silences(monkeypatch)
    asked = asyncio.create_task(proxy.chat(stream=True))
    pod = await proxy.pod()
    await eventually(lambda: len(kept_alive) > 1)  # 0.4 s
    await pod.answer("Hello")

    response = await asked

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.startswith(": keep-alive\n\n")
    assert response.text.endswith("data: [DONE]\n\n")
    [waited] = proxy.context.metrics.first_token.collect()
    [total] = [sample.value for sample in waited.samples if sample.name.endswith("_sum")]
    assert total > 0.3  # a comment is no token


async def test_text_that_was_lost_on_the_way_is_sent_at_the_end(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat(stream=True))
    pod = await proxy.pod()
    await pod.say({"type": "started"}, delta("Hel"))  # the request breaks off: no end record
    await pod.say({"type": "started"}, delta("ignored"), done("Hello"))

    frames = [json.loads(line[6:]) for line in (await asked).text.splitlines() if line.startswith("data: {")]

    texts = [frame["choices"][0]["delta"].get("content") for frame in frames]
    assert texts == ["Hel", "lo", None]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("record", "status", "kind"),
    [
        (failed("model_error", "slow down", 429), 429, openai.RateLimitError),
        (failed("model_error", "bad key", 401), 502, openai.InternalServerError),
        (failed("model_error", "context too long", 400), 400, openai.BadRequestError),
        (failed("timeout", "too slow", 504), 504, openai.InternalServerError),
        (failed("start_failed", "no image", 503), 503, openai.InternalServerError),
    ],
)
async def test_a_failed_run_is_an_error_with_a_status(
    proxy: Proxy,
    sdk: openai.AsyncOpenAI,
    stream: bool,
    record: dict[str, Any],
    status: int,
    kind: type[openai.APIStatusError],
) -> None:
    asked = asyncio.create_task(sdk.chat.completions.create(model="default", messages=MESSAGES, stream=stream))
    pod = await proxy.pod()
    await pod.say({"type": "started"}, record)

    with pytest.raises(kind) as raised:
        await asked

    assert raised.value.status_code == status
    assert record["error"]["message"] in str(raised.value)
    assert proxy.kubernetes.object(RUNS, pod.run)["status"]["error"]["httpStatus"] == record["error"]["httpStatus"]


async def test_an_error_after_the_first_chunk_is_an_error_frame(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    asked = asyncio.create_task(sdk.chat.completions.create(model="default", messages=MESSAGES, stream=True))
    pod = await proxy.pod()
    await pod.say({"type": "started"}, delta("Hel"), failed("model_error", "the model broke off", 502))

    chunks = aiter(await asked)
    await anext(chunks)
    with pytest.raises(openai.APIError, match="the model broke off"):
        await anext(chunks)


async def test_a_run_that_ends_without_its_pod_is_an_answer_too(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    run = await created_run(proxy.kubernetes)
    error = {"type": "start_failed", "message": "ImagePullBackOff: nope", "httpStatus": 503}
    proxy.kubernetes.put(run | {"status": {"phase": "Failed", "error": error}})

    response = await asked

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "start_failed"
    assert "ImagePullBackOff" in response.json()["error"]["message"]


async def test_a_deleted_run_is_an_error(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    run = await created_run(proxy.kubernetes)
    proxy.kubernetes.remove(RUNS, run["metadata"]["name"])

    assert (await asked).status_code == 502


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("started", [False, True])
async def test_a_caller_that_leaves_cancels_its_run(proxy: Proxy, stream: bool, started: bool) -> None:
    asked = asyncio.create_task(proxy.chat(stream=stream))
    pod = await proxy.pod()
    speaking = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), asyncio.Event())) if started else None
    if started:
        await eventually(lambda: ("default", pod.run) in proxy.context.runs._broker._topics)
        await asyncio.sleep(0.05)
    asked.cancel()

    await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel") is True)

    assert (await pod.task()).status_code == 410
    if speaking:
        speaking.cancel()


async def test_a_cancel_that_the_api_server_refuses_is_repeated(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    proxy.kubernetes.refuse("patch", RUNS, api_error(403, "Forbidden"))
    asked.cancel()

    await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel") is True)

    refused = ("sympozium_run_writes_refused_total", {"write": "cancel"})
    assert proxy.context.metrics.registry.get_sample_value(*refused) == 1


async def test_a_read_that_the_api_server_refuses_ends_neither_the_wait_nor_the_watch(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    await eventually(lambda: proxy.context.open_runs() == 1)
    proxy.kubernetes.refuse("get", RUNS, api_error(403, "Forbidden"))
    status = {"phase": "Succeeded", "result": "Hello", "finishReason": "stop"}
    proxy.kubernetes.put({**proxy.kubernetes.object(RUNS, pod.run), "status": status})

    assert (await asked).status_code == 200


async def test_nothing_is_left_of_an_answered_request(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    await pod.answer("Hello")
    await asked

    await eventually(lambda: not proxy.context.runs._broker._topics)
    assert not proxy.kubernetes.object(RUNS, pod.run)["spec"]["cancel"]


class TestIdempotencyKey:
    async def test_a_request_repeated_with_its_idempotency_key_follows_the_same_run(self, proxy: Proxy) -> None:
        once = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "k"}))
        pod = await proxy.pod()
        again = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "k"}))
        await eventually(lambda: len(proxy.context.runs._broker._topics[("default", pod.run)].subscribers) == 2)
        await pod.answer("Hello")

        assert (await once).json()["choices"] == (await again).json()["choices"]
        assert proxy.kubernetes.names(RUNS) == [pod.run]

    async def test_a_request_repeated_after_its_run_ended_gets_the_same_answer(self, proxy: Proxy) -> None:
        once = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "k"}))
        await (await proxy.pod()).answer("Hello")
        await once

        again = await proxy.chat(headers={"Idempotency-Key": "k"}, stream=True)

        assert again.status_code == 422  # stream is part of the body: another request
        blocking = await proxy.chat(headers={"Idempotency-Key": "k"})
        assert blocking.json()["choices"][0]["message"]["content"] == "Hello"
        assert blocking.json()["usage"]["total_tokens"] == 5

    async def test_requests_without_an_idempotency_key_are_never_deduplicated(self, proxy: Proxy) -> None:
        asked = [asyncio.create_task(proxy.chat()) for _ in range(2)]
        await created_run(proxy.kubernetes, among=2)
        for task in asked:
            task.cancel()


async def test_keys_rotate_without_a_restart(proxy: Proxy) -> None:
    async def status(key: str) -> int:
        return (await proxy.http.get("/v1/models", headers={"Authorization": f"Bearer {key}"})).status_code

    assert await status("sk-new") == 401
    (proxy.keys / "api-key-new").write_text("sk-new")
    proxy.clock.advance(2)
    assert (await status("sk-new"), await status(KEY)) == (200, 200)
    (proxy.keys / "api-key").unlink()
    proxy.clock.advance(2)
    assert (await status("sk-new"), await status(KEY)) == (200, 401)


async def test_models_are_listed(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in await sdk.models.list()] == ["smollm2", "demo", "default"]
    assert (await sdk.models.retrieve("demo")).owned_by == "sympozium"


async def test_readiness_follows_the_api_server_and_the_drain(proxy: Proxy) -> None:
    assert (await proxy.http.get("/readyz")).status_code == 200
    away = proxy.kubernetes.documents.pop("/version")
    assert (await proxy.http.get("/readyz")).status_code == 503
    assert (await proxy.http.get("/healthz")).status_code == 200
    proxy.kubernetes.documents["/version"] = away
    proxy.context.draining = True
    assert (await proxy.http.get("/readyz")).json()["reason"] == "draining"
    asked = asyncio.create_task(proxy.chat())
    await (await proxy.pod()).answer("Hello")
    assert (await asked).status_code == 200, "who has not heard of it yet is served"


async def test_it_is_not_ready_before_it_knows_the_open_runs(proxy: Proxy) -> None:
    proxy.context.runs_known = lambda: False
    response = await proxy.http.get("/readyz")
    assert (response.status_code, response.json()["reason"]) == (503, "runs not read yet")


async def test_metrics_count_by_route_and_never_by_what_a_caller_wrote(proxy: Proxy) -> None:
    await proxy.chat(key="wrong")
    await proxy.http.get("/secret-path")
    text = await proxy.metrics()
    assert 'sympozium_http_requests_total{route="/v1/chat/completions",status="401"} 1.0' in text
    assert "secret-path" not in text


async def test_what_a_run_holds_of_its_caller_is_the_request_and_the_keys_name(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat(temperature=0.5))
    run = await created_run(proxy.kubernetes)
    asked.cancel()
    assert request_of(run) == {"messages": MESSAGES, "temperature": 0.5}
    assert run["metadata"]["annotations"][names.ANNOTATION_KEY_ID] == "api-key"
    assert run["metadata"]["annotations"][names.ANNOTATION_REPLY_TO] == "http://127.0.0.1:8081"
    assert run["metadata"]["labels"][names.LABEL_SOURCE] == "web-proxy"
    assert KEY not in json.dumps(run)
