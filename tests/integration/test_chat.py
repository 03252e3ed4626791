"""POST /v1/chat/completions, as callers and pods meet in one web-proxy."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import created_run, delta, done, failed
from tests.integration.conftest import KEY, Proxy, instance

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.client.resources import RUNS

MESSAGES: Any = [{"role": "user", "content": "hello"}]


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.002)


@pytest.fixture
async def sdk(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


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


async def test_a_stream_ends_with_done_and_sends_comments_while_the_pod_starts(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat(stream=True))
    pod = await proxy.pod()
    await asyncio.sleep(0.3)  # longer than keep_alive_seconds: silence is what is tested
    await pod.answer("Hello")

    response = await asked

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.startswith(": keep-alive\n\n")
    assert response.text.endswith("data: [DONE]\n\n")


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
        await eventually(lambda: ("default", pod.run) in proxy.context.runs._board._lines)
        await asyncio.sleep(0.05)
    asked.cancel()

    await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel") is True)

    assert (await pod.task()).status_code == 410
    if speaking:
        speaking.cancel()


async def test_nothing_is_left_of_an_answered_request(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    await pod.answer("Hello")
    await asked

    await eventually(lambda: not proxy.context.runs._board._lines)
    assert "cancel" not in proxy.kubernetes.object(RUNS, pod.run)["spec"]


class TestIdempotencyKey:
    async def test_a_repeated_request_follows_the_same_run(self, proxy: Proxy) -> None:
        once = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "k"}))
        pod = await proxy.pod()
        again = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "k"}))
        await eventually(lambda: len(proxy.context.runs._board._lines[("default", pod.run)].followers) == 2)
        await pod.answer("Hello")

        assert (await once).json()["choices"] == (await again).json()["choices"]
        assert proxy.kubernetes.names(RUNS) == [pod.run]

    async def test_after_the_run_has_ended_its_answer_is_given_again(self, proxy: Proxy) -> None:
        once = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "k"}))
        await (await proxy.pod()).answer("Hello")
        await once

        again = await proxy.chat(headers={"Idempotency-Key": "k"}, stream=True)

        assert again.status_code == 422  # stream is part of the body: another request
        blocking = await proxy.chat(headers={"Idempotency-Key": "k"})
        assert blocking.json()["choices"][0]["message"]["content"] == "Hello"
        assert blocking.json()["usage"]["total_tokens"] == 5

    async def test_without_a_key_nothing_is_deduplicated(self, proxy: Proxy) -> None:
        asked = [asyncio.create_task(proxy.chat()) for _ in range(2)]
        await created_run(proxy.kubernetes, among=2)
        for task in asked:
            task.cancel()


class TestBadInput:
    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({}, "messages"),
            ({"messages": []}, "messages"),
            ({"messages": "hi"}, "messages"),
            ({"messages": [{"role": "alien", "content": "x"}]}, "messages[0].role"),
            ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
            ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content"),
            ({"messages": MESSAGES, "temperature": "hot"}, "temperature"),
            ({"messages": MESSAGES, "max_tokens": 0}, "max_tokens"),
            ({"messages": MESSAGES, "stream": "yes"}, "stream"),
            ({"messages": MESSAGES, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ],
    )
    async def test_a_wrong_field_is_named(self, proxy: Proxy, body: dict[str, Any], param: str) -> None:
        response = await proxy.http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param
        assert param in response.json()["error"]["message"]

    @pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"[" * 50_000])
    async def test_what_is_no_json_object_is_refused(self, proxy: Proxy, content: bytes) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        response = await proxy.http.post("/v1/chat/completions", content=content, headers=headers)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "invalid_json"

    async def test_a_body_over_the_limit_is_refused(self, proxy: Proxy) -> None:
        response = await proxy.chat(extra="x" * 70_000)
        assert response.status_code == 413

    async def test_another_content_type_is_refused(self, proxy: Proxy) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}
        response = await proxy.http.post("/v1/chat/completions", content=b"{}", headers=headers)
        assert response.status_code == 415

    async def test_an_unknown_model_is_not_found(self, proxy: Proxy) -> None:
        response = await proxy.chat(model="gpt-unknown")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"

    async def test_an_unknown_path_has_an_error_in_openais_shape(self, proxy: Proxy) -> None:
        response = await proxy.http.get("/v1/nothing")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "unknown_url"

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}])
    async def test_without_a_valid_key_nothing_is_done(self, proxy: Proxy, headers: dict[str, str]) -> None:
        response = await proxy.http.post("/v1/chat/completions", json={"messages": MESSAGES}, headers=headers)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert proxy.kubernetes.names(RUNS) == []


class TestWhenItCannotBeServed:
    async def test_the_api_server_is_away(self, proxy: Proxy) -> None:
        proxy.kubernetes.refuse("create", RUNS, ApiUnavailable("away"))
        response = await proxy.chat()
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"

    async def test_a_run_that_may_have_been_made_for_nobody_is_cancelled(self, proxy: Proxy) -> None:
        """The API server took the run, and its answer was lost."""
        create = proxy.kubernetes.create

        async def lost(*arguments: Any) -> Any:
            await create(*arguments)
            raise ApiUnavailable("the answer was lost")

        proxy.kubernetes.create = lost  # type: ignore[assignment, method-assign]
        assert (await proxy.chat()).status_code == 503
        [name] = proxy.kubernetes.names(RUNS)
        await eventually(lambda: proxy.kubernetes.object(RUNS, name)["spec"].get("cancel") is True)

    async def test_the_api_server_refuses_the_run(self, proxy: Proxy) -> None:
        proxy.kubernetes.refuse("create", RUNS, api_error(403, "Forbidden", "exceeded quota"))
        response = await proxy.chat()
        assert response.status_code == 502
        assert "exceeded quota" in response.json()["error"]["message"]

    async def test_the_model_secret_is_missing(self, proxy: Proxy) -> None:
        condition = {
            "type": "ModelReady",
            "status": "False",
            "reason": "SecretNotFound",
            "message": "Secret openai-key not found",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        proxy.kubernetes.put(instance() | {"status": {"conditions": [condition]}})
        await eventually(lambda: bool(proxy.context.endpoint._serving.instance.status.conditions))  # type: ignore[union-attr]
        response = await proxy.chat()
        assert response.status_code == 503
        assert "Secret openai-key not found" in response.json()["error"]["message"]

    async def test_the_queue_is_full(self, proxy: Proxy) -> None:
        proxy.kubernetes.put(instance(maxConcurrentRuns=1, maxQueuedRuns=0))
        asked = asyncio.create_task(proxy.chat())
        await created_run(proxy.kubernetes)
        await eventually(lambda: proxy.context.open_runs() == 1)
        response = await proxy.chat()
        assert response.status_code == 429
        assert response.json()["error"]["code"] == "queue_full"
        assert int(response.headers["retry-after"]) > 0
        asked.cancel()


class TestRateLimit:
    async def test_it_holds_per_key_and_says_when_to_come_back(self, proxy: Proxy) -> None:
        (proxy.keys / "api-key-alice").write_text("sk-alice")
        limit = {"requestsPerMinute": 60, "burstSize": 1}
        proxy.kubernetes.put(instance(webEndpoint={"rateLimit": limit}))
        await eventually(lambda: proxy.context.endpoint.serving().rate_limit.burst_size == 1)
        first = asyncio.create_task(proxy.chat())
        await (await proxy.pod()).answer("Hello")
        assert (await first).headers["x-ratelimit-remaining-requests"] == "0"

        refused = await proxy.chat()
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-ratelimit-limit-requests"] == "60"
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"

        other = asyncio.create_task(proxy.chat(key="sk-alice"))
        await (await proxy.pod(among=2)).answer("Hello")
        assert (await other).status_code == 200

        proxy.clock.advance(1)
        later = asyncio.create_task(proxy.chat())
        await (await proxy.pod(among=3)).answer("Hello")
        assert (await later).status_code == 200


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
    assert [model.id async for model in await sdk.models.list()] == ["smollm2", "demo"]
    assert (await sdk.models.retrieve("demo")).owned_by == "sympozium"


async def test_readiness_follows_the_api_server_and_the_drain(proxy: Proxy) -> None:
    assert (await proxy.http.get("/readyz")).status_code == 200
    away = proxy.kubernetes.documents.pop("/version")
    assert (await proxy.http.get("/readyz")).status_code == 503
    assert (await proxy.http.get("/healthz")).status_code == 200
    proxy.kubernetes.documents["/version"] = away
    proxy.context.draining = True
    assert (await proxy.http.get("/readyz")).json()["reason"] == "draining"


async def test_metrics_count_by_route_and_never_by_what_a_caller_wrote(proxy: Proxy) -> None:
    await proxy.chat(key="wrong")
    await proxy.http.get("/secret-path")
    text = (await proxy.http.get("/metrics")).text
    assert 'sympozium_http_requests_total{route="/v1/chat/completions",status="401"} 1.0' in text
    assert "secret-path" not in text


async def test_what_a_run_holds_of_its_caller_is_the_request_and_the_keys_name(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat(temperature=0.5))
    run = await created_run(proxy.kubernetes)
    asked.cancel()
    assert run["spec"]["request"] == {"messages": MESSAGES, "temperature": 0.5}
    assert run["metadata"]["annotations"][names.ANNOTATION_KEY_ID] == "api-key"
    assert run["metadata"]["annotations"][names.ANNOTATION_REPLY_TO] == "http://127.0.0.1:8081"
    assert run["metadata"]["labels"][names.LABEL_SOURCE] == "web-proxy"
    assert KEY not in json.dumps(run)
