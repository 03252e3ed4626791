"""Requests that are wrong, too many, or sent at the wrong time."""

import asyncio
from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import created_run
from tests.integration.conftest import KEY, Proxy, eventually, instance

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS

MESSAGES: Any = [{"role": "user", "content": "hello"}]


def _answered(proxy: Proxy, status: str) -> float:
    labels = {"route": "/v1/chat/completions", "status": status}
    return proxy.context.metrics.registry.get_sample_value("sympozium_http_requests_total", labels) or 0


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
            ({"messages": [*MESSAGES, {"role": "user"}]}, "messages[1].content"),
            ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
            ({"messages": MESSAGES, "temperature": "hot"}, "temperature"),
            ({"messages": MESSAGES, "max_tokens": 0}, "max_tokens"),
            ({"messages": MESSAGES, "stream": "yes"}, "stream"),
            ({"messages": MESSAGES, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ],
    )
    async def test_the_refusal_of_a_wrong_field_names_it(self, proxy: Proxy, body: dict[str, Any], param: str) -> None:
        response = await proxy.http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param
        assert param in response.json()["error"]["message"]

    @pytest.mark.parametrize(
        "content",
        [b"{", b"[1]", b"\xff", b"[" * 50_000, b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", b'{"temperature": NaN}'],
    )
    async def test_a_body_that_is_not_a_json_object_is_refused(self, proxy: Proxy, content: bytes) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        response = await proxy.http.post("/v1/chat/completions", content=content, headers=headers)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "invalid_json"

    async def test_a_disconnect_within_the_body_is_not_an_error_of_the_server(self, proxy: Proxy) -> None:
        host, port = proxy.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        await writer.drain()
        writer.close()
        await eventually(lambda: _answered(proxy, "499") == 1)
        assert _answered(proxy, "500") == 0

    async def test_a_body_over_the_limit_is_refused(self, proxy: Proxy) -> None:
        response = await proxy.chat(extra="x" * 70_000)
        assert response.status_code == 413

    async def test_a_body_of_another_content_type_is_refused(self, proxy: Proxy) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}
        response = await proxy.http.post("/v1/chat/completions", content=b"{}", headers=headers)
        assert response.status_code == 415

    async def test_an_unknown_model_is_not_found(self, proxy: Proxy) -> None:
        response = await proxy.chat(model="gpt-unknown")
        assert response.status_code == 404
        assert "x-ratelimit-remaining-requests" in response.headers
        assert response.json()["error"]["code"] == "model_not_found"

    async def test_an_unknown_path_has_an_error_in_openais_shape(self, proxy: Proxy) -> None:
        response = await proxy.http.get("/v1/nothing")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "unknown_url"

    @pytest.mark.parametrize(
        ("method", "path", "hint"),
        [
            ("POST", "/chat/completions", "Did you mean /v1/chat/completions? The base URL"),
            ("POST", "/v1/v1/chat/completions", "Did you mean /v1/chat/completions? The base URL"),
            ("GET", "/models/demo", "Did you mean /v1/models/demo? The base URL"),
            ("GET", "/", "GET /v1/models lists"),
            ("GET", "/v1", "GET /v1/models lists"),
            ("GET", "/v2/models", "GET /openapi.json lists the routes."),
        ],
    )
    async def test_an_unknown_path_is_told_the_one_that_was_meant(
        self, proxy: Proxy, method: str, path: str, hint: str
    ) -> None:
        response = await proxy.http.request(method, path)
        assert response.status_code == 404
        assert hint in response.json()["error"]["message"]

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("GET", "/v1/chat/completions", "POST"),
            ("POST", "/v1/models", "GET"),
            ("PUT", "/v1/responses/resp_x", "GET, DELETE"),
        ],
    )
    async def test_a_wrong_method_is_told_the_right_ones(
        self, proxy: Proxy, method: str, path: str, allowed: str
    ) -> None:
        response = await proxy.http.request(method, path)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (405, "method_not_allowed")
        assert response.headers["allow"] == allowed
        assert f"{path} does not take {method}; use {allowed.replace(', ', ' or ')}" in error["message"]

    @pytest.mark.parametrize(
        ("headers", "cause"),
        [
            ({}, "No API key provided."),
            ({"Authorization": "Bearer"}, "there is none after 'Bearer'"),
            ({"Authorization": "Bearer wrong"}, "Incorrect API key provided: it is no key of the instance 'demo'."),
            ({"Authorization": KEY}, "does not begin with 'Bearer'"),
            ({"X-Api-Key": KEY}, "No API key is read from the header x-api-key."),
            ({"api-key": KEY}, "No API key is read from the header api-key."),
        ],
    )
    async def test_a_request_without_a_valid_key_is_told_why_and_creates_no_run(
        self, proxy: Proxy, headers: dict[str, str], cause: str
    ) -> None:
        response = await proxy.http.post("/v1/chat/completions", json={"messages": MESSAGES}, headers=headers)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert cause in response.json()["error"]["message"]
        assert "Authorization: Bearer <key>" in response.json()["error"]["message"]
        assert proxy.kubernetes.names(RUNS) == []


class TestWhenItCannotBeServed:
    async def test_a_request_gets_503_while_the_api_server_is_away(self, proxy: Proxy) -> None:
        proxy.kubernetes.refuse("create", RUNS, ApiUnavailable("away"))
        response = await proxy.chat()
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"

    async def test_a_run_that_may_exist_without_a_caller_is_cancelled(self, proxy: Proxy) -> None:
        """The API server took the run, and its answer was lost."""
        create = proxy.kubernetes.create

        async def lost(*arguments: Any, **options: Any) -> Any:
            await create(*arguments, **options)
            raise ApiUnavailable("the answer was lost")

        proxy.kubernetes.create = lost  # type: ignore[method-assign]
        assert (await proxy.chat()).status_code == 503
        [name] = proxy.kubernetes.names(RUNS)
        await eventually(lambda: proxy.kubernetes.object(RUNS, name)["spec"].get("cancel") is True)

    async def test_a_run_that_a_hanging_api_server_creates_late_is_cancelled(self, proxy: Proxy) -> None:
        create = proxy.kubernetes.create

        async def late(*arguments: Any, **options: Any) -> Any:
            await asyncio.sleep(0.5)
            await create(*arguments, **options)

        async def hangs(*arguments: Any, **options: Any) -> Any:
            making.append(asyncio.create_task(late(*arguments, **options)))
            raise ApiUnavailable("no answer in time")

        making = list[asyncio.Task[Any]]()
        proxy.kubernetes.create = hangs  # type: ignore[method-assign]
        assert (await proxy.chat()).status_code == 503
        await eventually(lambda: bool(proxy.kubernetes.names(RUNS)))
        [name] = proxy.kubernetes.names(RUNS)
        await eventually(lambda: proxy.kubernetes.object(RUNS, name)["spec"].get("cancel") is True)

    async def test_a_request_is_refused_if_the_api_server_refuses_its_run(self, proxy: Proxy) -> None:
        proxy.kubernetes.refuse("create", RUNS, api_error(403, "Forbidden", "exceeded quota"))
        response = await proxy.chat()
        assert response.status_code == 502
        assert "exceeded quota" in response.json()["error"]["message"]

    async def test_a_request_gets_503_if_the_models_secret_is_missing(self, proxy: Proxy) -> None:
        condition = {
            "type": "ModelReady",
            "status": "False",
            "reason": "SecretNotFound",
            "message": "Secret openai-key not found",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        proxy.kubernetes.put(instance() | {"status": {"conditions": [condition]}})
        await eventually(lambda: bool(proxy.context.instance_cache._served.instance.status.conditions))  # type: ignore[union-attr]
        response = await proxy.chat()
        assert response.status_code == 503
        assert "SecretNotFound" in response.json()["error"]["message"]
        assert "openai-key" not in response.text

    async def test_an_endpoint_that_is_switched_off_refuses_requests_and_finishes_open_answers(
        self, proxy: Proxy
    ) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        proxy.kubernetes.put(instance(skills=[]))
        async with asyncio.timeout(60):
            while (refused := await proxy.chat(model="unknown")).status_code != 503:
                await asyncio.sleep(0.01)
        assert refused.json()["error"]["code"] == "web_endpoint_off"
        await pod.answer("Hello")
        assert (await asked).status_code == 200

    async def test_an_instance_that_is_being_deleted_refuses_requests_and_finishes_open_answers(
        self, proxy: Proxy
    ) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        deleting = instance()
        deleting["metadata"]["labels"] = {names.LABEL_DELETING: "1764380000"}
        proxy.kubernetes.put(deleting)
        await eventually(lambda: bool(proxy.context.instance_cache._served.instance.metadata.labels))  # type: ignore[union-attr]
        refused = await proxy.chat()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "instance_deleting")
        await pod.answer("Hello")
        assert (await asked).status_code == 200

    async def test_a_request_gets_429_if_the_queue_is_full(self, proxy: Proxy) -> None:
        proxy.kubernetes.put(instance(maxConcurrentRuns=1, maxQueuedRuns=0))
        asked = asyncio.create_task(proxy.chat())
        await created_run(proxy.kubernetes)
        await eventually(lambda: proxy.context.open_runs() == 1)
        response = await proxy.chat()
        assert response.status_code == 429
        assert response.json()["error"]["code"] == "queue_full"
        assert int(response.headers["retry-after"]) > 0
        asked.cancel()

    async def test_a_full_queue_refuses_no_retry_of_an_accepted_request(self, proxy: Proxy) -> None:
        proxy.kubernetes.put(instance(maxConcurrentRuns=1, maxQueuedRuns=1))
        await eventually(lambda: proxy.context.instance_cache.served().instance.spec.max_queued_runs == 1)
        ended = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "ended"}))
        await (await proxy.pod()).answer("Hello")
        assert (await ended).status_code == 200
        await eventually(lambda: proxy.context.open_runs() == 0)
        going = [asyncio.create_task(proxy.chat(headers={"Idempotency-Key": key})) for key in ("one", "two")]
        await eventually(lambda: proxy.context.open_runs() == 2)

        again = await proxy.chat(headers={"Idempotency-Key": "ended"})
        assert (again.status_code, again.headers["x-sympozium-run"]) == (200, (await ended).headers["x-sympozium-run"])
        refused = await proxy.chat(headers={"Idempotency-Key": "new"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        retry = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "two"}))
        await (await proxy.pod(among=3)).answer("Hello")
        assert (await retry).status_code == 200
        assert len(proxy.kubernetes.names(RUNS)) == 3
        going[0].cancel()
        assert (await going[1]).status_code == 200

    async def test_a_key_that_floods_the_queue_leaves_half_of_it_to_others(self, proxy: Proxy) -> None:
        (proxy.keys / "api-key-alice").write_text("sk-alice")
        proxy.clock.advance(5)
        proxy.kubernetes.put(instance(maxConcurrentRuns=2, maxQueuedRuns=18))
        await eventually(lambda: proxy.context.instance_cache.served().instance.spec.max_queued_runs == 18)
        greedy = [asyncio.create_task(proxy.chat()) for _ in range(90)]
        await eventually(lambda: sum(task.done() for task in greedy) == 80)
        assert {(await task).json()["error"]["code"] for task in greedy if task.done()} == {"queue_full"}
        assert len(proxy.kubernetes.names(RUNS)) == 10

        alice = [asyncio.create_task(proxy.chat(key="sk-alice")) for _ in range(5)]
        await eventually(lambda: len(proxy.kubernetes.names(RUNS)) == 15)
        for task in (*greedy, *alice):
            task.cancel()


class TestRateLimit:
    async def test_the_rate_limit_is_per_key_and_names_the_next_moment(self, proxy: Proxy) -> None:
        (proxy.keys / "api-key-alice").write_text("sk-alice")
        limit = {"requestsPerMinute": 60, "burstSize": 1}
        proxy.kubernetes.put(instance(webEndpoint={"rateLimit": limit}))
        await eventually(lambda: proxy.context.instance_cache.served().rate_limit.burst_size == 1)
        first = asyncio.create_task(proxy.chat())
        await (await proxy.pod()).answer("Hello")
        assert (await first).headers["x-ratelimit-remaining-requests"] == "0"

        refused = await proxy.chat()
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-ratelimit-limit-requests"] == "1"
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert "60 requests per minute, at most 1 at once. Try again in 1 s." in refused.json()["error"]["message"]

        other = asyncio.create_task(proxy.chat(key="sk-alice"))
        await (await proxy.pod(among=2)).answer("Hello")
        assert (await other).status_code == 200

        proxy.clock.advance(1)
        later = asyncio.create_task(proxy.chat())
        await (await proxy.pod(among=3)).answer("Hello")
        assert (await later).status_code == 200
