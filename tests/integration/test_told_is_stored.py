"""The end of an answer is told once it is stored, so every replica reads what was told."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import FakePod, delta, done, failed
from tests.integration.conftest import KEY, Proxy, eventually
from tests.integration.responses_calls import other_replica

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.json_text import MAX_TEXT_BYTES
from sympozium_api.resources import RUN_PARTS, RUNS

KEYED = {"Idempotency-Key": "k"}
TOO_LARGE = api_error(500, "InternalError", "etcdserver: request is too large")


class SlowStore:
    """Holds back writes until ``go_on`` is set: those of one subresource, or all; or only the API server's answers to them."""

    def __init__(self, proxy: Proxy, *, subresource: str | None = None, confirms_late: bool = False) -> None:
        self.go_on, self.writes = asyncio.Event(), 0
        self._subresource = subresource
        self._confirms_late = confirms_late
        self._patch = proxy.kubernetes.patch
        proxy.kubernetes.patch = self  # type: ignore[method-assign]

    async def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self._subresource not in (None, options.get("subresource")):
            return await self._patch(*arguments, **options)
        self.writes += 1
        if not self._confirms_late:
            await self.go_on.wait()
        written = await self._patch(*arguments, **options)
        await self.go_on.wait()
        return written


@pytest.fixture
async def elsewhere(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with other_replica(proxy) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
async def test_the_end_of_an_answer_waits_until_it_is_stored(proxy: Proxy, stream: bool) -> None:
    store = SlowStore(proxy)
    asked = asyncio.create_task(proxy.chat(stream=stream))
    pod = await proxy.pod()
    speaking = asyncio.create_task(pod.answer("Hello"))
    await eventually(lambda: store.writes == 1)
    await asyncio.sleep(0.2)
    assert not asked.done()
    store.go_on.set()
    assert (await asked).status_code == 200
    assert proxy.kubernetes.object(RUNS, pod.run)["status"]["phase"] == "Succeeded"
    await speaking


async def test_pieces_of_an_answer_do_not_wait_for_the_store(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    SlowStore(proxy)
    messages: Any = [{"role": "user", "content": "hello"}]
    creating = asyncio.create_task(sdk.chat.completions.create(model="default", messages=messages, stream=True))
    pod = await proxy.pod()
    speaking = asyncio.create_task(pod.answer("Hello"))
    stream = await creating
    assert (await anext(aiter(stream))).choices[0].delta.content == "Hello"
    await stream.close()
    speaking.cancel()


@pytest.mark.parametrize("failure", [ApiUnavailable("away"), api_error(409, "Conflict")])
async def test_an_end_that_cannot_be_stored_so_far_is_told_after_a_second(proxy: Proxy, failure: Exception) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    began = asyncio.get_running_loop().time()
    proxy.kubernetes.refuse("patch", RUNS, failure)
    assert (await pod.answer("Hello")).status_code in (502, 503)
    response = await asked
    assert response.json()["choices"][0]["message"]["content"] == "Hello"
    assert 0.9 < asyncio.get_running_loop().time() - began < 30, "a write is repeated for a minute"
    assert (await pod.say(done("Hello"))).json() == {"stored": True}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_whose_end_is_refused_for_good_is_told_as_an_error_and_counted(
    proxy: Proxy, stream: bool
) -> None:
    asked = asyncio.create_task(proxy.chat(stream=stream))
    pod = await proxy.pod()
    proxy.kubernetes.refuse("patch", RUNS, api_error(403, "Forbidden", "denied: <secret>"))
    assert (await pod.say({"type": "started"}, done("Hello"))).status_code == 502
    response = await asked
    assert (response.status_code, response.json()["error"]["code"]) == (502, "answer_not_storable")
    assert "secret" not in response.text
    assert 'sympozium_run_writes_refused_total{write="end"} 1.0' in await proxy.metrics()
    assert (await pod.say(done("Hello"))).json() == {"stored": True}  # the permission may have been granted again


async def test_an_error_whose_end_is_refused_for_good_is_told_as_it_is(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    proxy.kubernetes.refuse("patch", RUNS, api_error(403, "Forbidden"))
    assert (await pod.say(failed("model_error", "overloaded", 503))).status_code == 502
    response = await asked
    assert response.headers["x-sympozium-error"] == "model_error"
    assert 'sympozium_run_writes_refused_total{write="end"} 1.0' in await proxy.metrics()


async def test_a_caller_that_leaves_while_the_end_is_stored_cancels_nothing(proxy: Proxy) -> None:
    store = SlowStore(proxy)
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    speaking = asyncio.create_task(pod.answer("Hello"))
    await eventually(lambda: store.writes == 1)
    asked.cancel()
    await asyncio.sleep(0.1)
    store.go_on.set()
    await speaking
    await asyncio.sleep(0.05)
    assert store.writes == 1


async def test_a_cancel_while_the_end_is_stored_is_accepted(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="default", input="hello", background=True)
    pod = await proxy.pod()
    store = SlowStore(proxy, subresource="status")
    speaking = asyncio.create_task(pod.answer("Hello"))
    await eventually(lambda: store.writes == 1)
    cancelling = asyncio.create_task(sdk.responses.cancel(response.id))
    await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel") is True)
    await asyncio.sleep(0.05)
    store.go_on.set()
    assert (await speaking).json() == {"stored": True}
    assert (await cancelling).status == "completed"


async def test_a_retry_and_a_stream_while_the_write_of_the_end_is_confirmed_get_the_answer(proxy: Proxy) -> None:
    body = {"input": "hello", "background": True}
    own = {"Authorization": f"Bearer {KEY}"} | KEYED
    created = (await proxy.http.post("/v1/responses", json=body, headers=own)).json()
    pod = await proxy.pod()
    store = SlowStore(proxy, subresource="status", confirms_late=True)
    speaking = asyncio.create_task(pod.answer("Hello"))
    await eventually(lambda: proxy.kubernetes.object(RUNS, pod.run).get("status", {}).get("phase") == "Succeeded")
    streamed = await proxy.http.get(f"/v1/responses/{created['id']}?stream=true", headers=own)
    again = await proxy.http.post("/v1/responses", json=body, headers=own)
    store.go_on.set()
    assert (streamed.status_code, again.status_code) == (200, 200)
    assert "response.completed" in streamed.text
    assert (await speaking).json() == {"stored": True}
    await eventually(lambda: proxy.context.budget.used == 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_too_large_is_the_same_error_at_first_and_by_its_key(
    proxy: Proxy, stream: bool
) -> None:
    asked = asyncio.create_task(proxy.chat(headers=KEYED, stream=stream))
    pod = await proxy.pod()
    assert (await pod.say({"type": "started"}, done("x" * MAX_TEXT_BYTES))).json() == {"stored": True}
    first, again = await asked, await proxy.chat(headers=KEYED, stream=stream)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert (first.status_code, first.json()["error"]["code"]) == (502, "answer_too_large")


async def test_an_answer_that_is_too_large_ends_a_stream_that_has_begun_with_an_error(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat(stream=True))
    pod = await proxy.pod()
    await pod.say({"type": "started"}, delta("x"), done("x" * MAX_TEXT_BYTES))
    *_, last = [line for line in (await asked).text.split("\n") if line]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "answer_too_large"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(TOO_LARGE, "answer_too_large"), (api_error(422, "Invalid", "status.result: <secret>"), "answer_not_storable")],
)
async def test_an_answer_that_the_api_server_refuses_ends_its_run_at_once(
    proxy: Proxy, refusal: Exception, code: str
) -> None:
    asked = asyncio.create_task(proxy.chat(headers=KEYED))
    pod = await proxy.pod()
    proxy.kubernetes.refuse("patch", RUNS, refusal)
    if code == "answer_too_large":
        proxy.kubernetes.refuse("create", RUN_PARTS, refusal)  # where it would be whole
    assert (await pod.answer("Hello")).json() == {"stored": True}
    first, again = await asked, await proxy.chat(headers=KEYED)
    assert (first.status_code, first.json()["error"]["code"]) == (502, code)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert "secret" not in first.text
    assert proxy.kubernetes.object(RUNS, pod.run)["status"]["phase"] == "Failed"


async def test_an_answer_that_does_not_fit_beside_its_request_is_stored_in_parts(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat(headers=KEYED))
    pod = await proxy.pod()
    proxy.kubernetes.refuse("patch", RUNS, TOO_LARGE)
    assert (await pod.answer("Hello")).json() == {"stored": True}
    first, again = await asked, await proxy.chat(headers=KEYED)
    assert (first.status_code, first.json()["choices"][0]["message"]["content"]) == (200, "Hello")
    assert again.json() == first.json()
    assert proxy.kubernetes.object(RUNS, pod.run)["status"]["answer"]["parts"] == 1


async def test_what_a_caller_is_told_is_what_is_stored_if_the_run_ended_otherwise(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat(headers=KEYED))
    pod = await proxy.pod()
    status = {"phase": "Failed", "error": {"type": "timeout", "message": "too long", "httpStatus": 504}}

    def ends() -> None:
        proxy.kubernetes.put({**proxy.kubernetes.object(RUNS, pod.run), "status": status})

    proxy.kubernetes.meanwhile("patch", RUNS, ends)
    assert (await pod.answer("Hello")).status_code == 410
    assert (await asked).status_code == (await proxy.chat(headers=KEYED)).status_code == 504


async def test_a_response_never_goes_back_to_queued(
    proxy: Proxy, sdk: openai.AsyncOpenAI, elsewhere: openai.AsyncOpenAI
) -> None:
    response = await sdk.responses.create(model="default", input="hello", background=True)
    assert response.status == "queued"
    pod = await proxy.pod()
    rest_may_come = asyncio.Event()
    found = []
    speaking = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), rest_may_come, done("Hello")))
    await eventually(lambda: proxy.context.runs._broker.has_records(("default", pod.run)))
    for _ in range(3):
        found += [(await client.responses.retrieve(response.id)).status for client in (sdk, elsewhere)]
        await asyncio.sleep(0.02)
    assert set(found) == {"in_progress"}
    rest_may_come.set()
    await speaking
    assert {(await client.responses.retrieve(response.id)).status for client in (sdk, elsewhere)} == {"completed"}


async def test_the_next_turn_may_follow_a_completed_response_at_once(
    proxy: Proxy, sdk: openai.AsyncOpenAI, elsewhere: openai.AsyncOpenAI
) -> None:
    asked = asyncio.create_task(sdk.responses.create(model="default", input="hello"))
    pod = await proxy.pod()
    speaking = asyncio.create_task(pod.answer("Hello"))
    response = await asked
    assert (await elsewhere.responses.retrieve(response.id)).output_text == "Hello"
    follow_up = asyncio.create_task(
        elsewhere.responses.create(model="default", input="and?", previous_response_id=response.id)
    )
    assert (await (await proxy.pod(among=2)).answer("Yes")).json() == {"stored": True}
    assert (await follow_up).output_text == "Yes"
    await speaking


@pytest.mark.parametrize("kind", ["ошибка", "a\r\nset-cookie: b=c"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_pods_error_whose_type_no_header_can_hold_is_an_internal_error(
    proxy: Proxy, kind: str, stream: bool
) -> None:
    asked = asyncio.create_task(proxy.chat(stream=stream))
    pod = await proxy.pod()
    await pod.say({"type": "started"}, failed(kind, "words", 429))
    answer = await asked
    assert "set-cookie" not in answer.headers
    if not stream:
        assert (answer.status_code, answer.headers["x-sympozium-error"]) == (429, "internal_error")
    assert '"code":"internal_error"' in answer.text
    assert proxy.kubernetes.object(RUNS, pod.run)["status"]["error"]["type"] == "internal_error"


@pytest.mark.parametrize(
    "end", [done("Hello"), failed("terminated", "the pod was terminated", 503)], ids=["answer", "error"]
)
async def test_a_callers_answer_is_not_the_end_that_a_pod_reports_after_it_gave_the_run_back(
    proxy: Proxy, end: dict[str, Any]
) -> None:
    asked = asyncio.create_task(proxy.chat())
    cold = await proxy.pod()
    name = f"{names.idle_job('demo', '01234567', '012345')}-abcde"
    run = proxy.kubernetes.object(RUNS, cold.run)
    claim = {"jobName": names.job_of_pod(name), "podName": name}
    proxy.kubernetes.put(run | {"spec": run["spec"] | {"claim": claim}})
    idle = FakePod(run, proxy.issuer, proxy.surface, job=names.job_of_pod(name))
    given_back = asyncio.Event()
    speaking = asyncio.create_task(idle.say({"type": "started"}, given_back, end))
    await eventually(lambda: proxy.context.runs._broker.has_records(("default", cold.run)))
    assert (await idle.release()).status_code == 200
    given_back.set()
    assert (await speaking).status_code == 410
    assert (await idle.release()).status_code == 403
    await asyncio.sleep(1.2)  # longer than webProxy.storeWait
    assert not asked.done()
    assert (await cold.answer("Hi")).status_code == 200
    assert (await asked).json()["choices"][0]["message"]["content"] == "Hi"
    assert proxy.kubernetes.object(RUNS, cold.run)["status"]["phase"] == "Succeeded"
