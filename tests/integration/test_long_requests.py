"""Requests that do not fit into one object are kept whole, in parts that their run owns."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import FakePod
from tests.integration.conftest import KEY, Proxy, assembled, eventually, hold_parts
from tests.integration.warm_cluster import holding

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.resources import RUN_PARTS, RUNS, Object, ResourceType
from sympozium_runs import long_questions
from sympozium_webproxy.request import held

HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
PHOTO = "data:image/jpeg;base64," + secrets.token_urlsafe(3 * 1024 * 1024 - 10_000)  # 4 MiB that do not shrink
BODY = f'{{"messages": [{{"role": "user", "content": [{{"type": "image_url", "image_url": {{"url": "{PHOTO}"}}}}]}}], "z": 1.0, "a": 1e3}}'
SMALL = '{"messages": [{"role": "user", "content": "hello"}]}'


class Crash(asyncio.CancelledError):
    """The end of a web-proxy's process: nothing after it is written."""


@pytest.fixture
def max_body_bytes() -> int:
    return 8 * 1024 * 1024


async def post(proxy: Proxy, body: str = BODY, path: str = "/v1/chat/completions", **headers: str) -> httpx2.Response:
    return await proxy.http.post(path, content=body.encode(), headers=HEADERS | headers)


def parts_of(proxy: Proxy) -> list[Object]:
    found = [body for key, body in proxy.kubernetes.objects.items() if key[0] == RUN_PARTS.plural]
    return sorted(found, key=lambda part: part["spec"]["index"])


def crash_at(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, step: int) -> asyncio.Event:
    """End the web-proxy at its write with this number: 0 is the run's creation, the others are those of its parts.

    Return an event that is set then.
    """
    create, number, has_crashed = proxy.kubernetes.create, 0, asyncio.Event()

    async def counted(kind: ResourceType, *words: Any, **options: Any) -> Object:
        nonlocal number
        number += 1
        if number > step:
            has_crashed.set()
            raise Crash
        return await create(kind, *words, **options)

    monkeypatch.setattr(proxy.kubernetes, "create", counted)
    return has_crashed


@asynccontextmanager
async def restarted(proxy: Proxy, clock: FakeClock | None = None) -> AsyncIterator[Proxy]:
    """Another replica, which shares nothing with the first but the cluster."""
    clock = clock or FakeClock()
    async with assembled(proxy.kubernetes, proxy.context.settings, clock) as (context, url, surface, http):
        yield Proxy(url, surface, proxy.kubernetes, proxy.issuer, context, http, clock, proxy.keys)


async def task_of(proxy: Proxy, run: Object) -> httpx2.Response:
    return await FakePod(run, proxy.issuer, proxy.surface).task()


def is_whole(task: httpx2.Response) -> bool:
    sent = json.loads(BODY)
    return task.status_code == 200 and task.json()["request"] == sent | {"model": "smollm2"} and '"a":1e3' in task.text


class TestRequests:
    async def test_a_photo_reaches_the_model_byte_for_byte(self, proxy: Proxy) -> None:
        asking = asyncio.create_task(post(proxy))
        pod = await proxy.pod()
        task = await pod.task()
        assert is_whole(task)
        assert json.dumps(PHOTO) in task.text
        await pod.answer("a cat")
        assert (await asking).json()["choices"][0]["message"]["content"] == "a cat"

    async def test_the_run_owns_the_parts_and_names_them(self, proxy: Proxy) -> None:
        asking = asyncio.create_task(post(proxy))
        pod = await proxy.pod()
        await pod.task()
        run, parts = proxy.kubernetes.object(RUNS, pod.run), parts_of(proxy)
        assert json.loads("".join(part["spec"]["data"] for part in parts)) == json.loads(BODY)
        assert run["spec"]["requestText"]["parts"] == len(parts) >= 4
        for part in parts:
            assert part["metadata"]["ownerReferences"][0]["uid"] == run["metadata"]["uid"]
            assert part["metadata"]["labels"][names.LABEL_INSTANCE] == "demo"
            assert part["metadata"]["labels"][names.LABEL_RUN] == pod.run
        await pod.answer("a cat")
        await asking
        proxy.kubernetes.remove(RUNS, pod.run)
        assert parts_of(proxy) == []

    async def test_a_part_cannot_be_edited(self, proxy: Proxy) -> None:
        asking = asyncio.create_task(post(proxy))
        pod = await proxy.pod()
        await pod.task()
        name = parts_of(proxy)[0]["metadata"]["name"]
        with pytest.raises(ApiError, match="immutable"):
            await proxy.kubernetes.patch(RUN_PARTS, "default", name, {"spec": {"data": "x"}})
        await pod.answer("a cat")
        await asking

    async def test_a_usual_request_is_written_as_before(self, proxy: Proxy) -> None:
        asking = asyncio.create_task(post(proxy, SMALL))
        pod = await proxy.pod()
        await pod.answer("Hello")
        await asking
        assert proxy.kubernetes.writes == [("create", "agentruns", pod.run), ("patch", "agentruns/status", pod.run)]

    async def test_a_long_text_of_ours_is_whole_over_responses(self, proxy: Proxy) -> None:
        words = secrets.token_hex(2 * 1024 * 1024)
        body = json.dumps({"input": words, "instructions": "Be brief."})
        asking = asyncio.create_task(post(proxy, body, "/v1/responses"))
        pod = await proxy.pod()
        task = (await pod.task()).json()
        assert task["request"]["messages"][1]["content"] == words
        await pod.answer("Hello")
        told = (await asking).json()
        assert told["instructions"] == "Be brief."
        async with restarted(proxy) as other:
            fetched = await other.http.get(f"/v1/responses/{told['id']}", headers=HEADERS)
            items = await other.http.get(f"/v1/responses/{told['id']}/input_items", headers=HEADERS)
        assert fetched.json() == told
        assert items.json()["data"][0]["content"][0]["text"] == words

    async def test_a_missing_part_and_a_wrong_one_are_errors_by_name(self, proxy: Proxy) -> None:
        body = json.dumps({"input": secrets.token_hex(2 * 1024 * 1024), "instructions": "Be brief."})
        asking = asyncio.create_task(post(proxy, body, "/v1/responses"))
        pod = await proxy.pod()
        await pod.answer("Hello")
        told = (await asking).json()
        last = parts_of(proxy)[-1]
        for data in ("", None):
            key = (RUN_PARTS.plural, "default", last["metadata"]["name"])
            if data is None:
                proxy.kubernetes.remove(RUN_PARTS, last["metadata"]["name"])
            else:
                proxy.kubernetes.objects[key] = last | {"spec": last["spec"] | {"data": data}}
            fetched = await proxy.http.get(f"/v1/responses/{told['id']}", headers=HEADERS)
            assert (fetched.status_code, fetched.json()["error"]["code"]) == (502, "response_unreadable")
            assert "spec.requestText" in fetched.json()["error"]["message"]

    async def test_a_photo_beside_an_emoji_is_taken_although_it_exceeds_the_budget_alone(self, proxy: Proxy) -> None:
        """Python keeps 4 bytes for each character of a text with one emoji."""
        text = "\U0001f600" + "x" * (8 * 1024 * 1024 - 200)
        body = json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=False)
        asking = asyncio.create_task(post(proxy, body))
        pod = await proxy.pod()
        assert (await pod.task()).json()["request"]["messages"][0]["content"] == text
        await pod.answer("a cat")
        assert (await asking).status_code == 200

    async def test_a_body_beyond_the_limit_is_refused(self, proxy: Proxy) -> None:
        answer = await post(proxy, json.dumps({"messages": [{"role": "user", "content": "x" * 8 * 1024 * 1024}]}))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


STEPS = range(1, 5)


class TestCrashes:
    """A web-proxy that ends between the writes of a long request."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(long_questions, "_WAIT_SECONDS", 0.01)

    async def crash(self, proxy: Proxy, step: int, **headers: str) -> Object:
        """Return the run that a web-proxy leaves that ends at this write."""
        with pytest.MonkeyPatch.context() as patch:
            has_crashed = crash_at(proxy, patch, step)
            asking = asyncio.create_task(post(proxy, **headers))
            await eventually(lambda: len(proxy.kubernetes.names(RUNS)) + len(parts_of(proxy)) == step)
            await eventually(has_crashed.is_set)
            asking.cancel()
        [run] = proxy.kubernetes.names(RUNS)
        return proxy.kubernetes.object(RUNS, run)

    @pytest.mark.parametrize("step", STEPS)
    async def test_the_run_is_cancelled_and_nothing_stays(self, proxy: Proxy, step: int) -> None:
        run = await self.crash(proxy, step)
        clock = FakeClock()
        async with restarted(proxy, clock) as other:
            assert (await task_of(other, run)).status_code == 503
            clock.advance(61)
            assert (await task_of(other, run)).status_code == 410
        status = proxy.kubernetes.object(RUNS, run["metadata"]["name"])["status"]
        assert (status["phase"], status["error"]["type"]) == ("Cancelled", "cancelled")
        proxy.kubernetes.remove(RUNS, run["metadata"]["name"])
        assert parts_of(proxy) == []

    @pytest.mark.parametrize("step", STEPS)
    async def test_the_same_key_completes_the_run(self, proxy: Proxy, step: int) -> None:
        run = await self.crash(proxy, step, **{"Idempotency-Key": "k"})
        async with restarted(proxy) as other:
            asking = asyncio.create_task(post(other, **{"Idempotency-Key": "k"}))
            await eventually(lambda: len(parts_of(proxy)) == run["spec"]["requestText"]["parts"])
            pod = FakePod(run, other.issuer, other.surface)
            assert is_whole(await pod.task())
            await pod.answer("a cat")
            assert (await asking).headers["x-sympozium-run"] == run["metadata"]["name"]
        assert proxy.kubernetes.names(RUNS) == [run["metadata"]["name"]]

    async def test_the_same_key_makes_another_run_after_the_first_was_cancelled(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = await self.crash(proxy, 2, **{"Idempotency-Key": "k"})
        clock = FakeClock()
        clock.advance(61)
        async with restarted(proxy, clock) as other:
            assert (await task_of(other, run)).status_code == 410
            monkeypatch.setattr(long_questions, "_WAIT_SECONDS", 60.0)
            asking = asyncio.create_task(post(other, **{"Idempotency-Key": "k"}))
            pod = await other.pod(among=2)
            assert is_whole(await FakePod(proxy.kubernetes.object(RUNS, pod.run), other.issuer, other.surface).task())
            await FakePod(proxy.kubernetes.object(RUNS, pod.run), other.issuer, other.surface).answer("a cat")
            assert (await asking).status_code == 200

    @pytest.mark.parametrize("failure", [ApiUnavailable("away"), api_error(403, "Forbidden")])
    async def test_a_part_that_is_refused_cancels_its_run(self, proxy: Proxy, failure: Exception) -> None:
        proxy.kubernetes.refuse("create", RUN_PARTS, failure)
        answer = await post(proxy)
        assert answer.status_code in (502, 503)
        [run] = proxy.kubernetes.names(RUNS)
        await eventually(lambda: proxy.kubernetes.object(RUNS, run)["spec"].get("cancel", False))

    async def test_a_pod_that_is_quicker_than_the_parts_waits(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(long_questions, "_WAIT_SECONDS", 60.0)
        may_write = hold_parts(proxy, monkeypatch)
        asking = asyncio.create_task(post(proxy))
        pod = await proxy.pod()
        waiting = asyncio.create_task(pod.task())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        may_write.set()
        assert is_whole(await waiting)
        await pod.answer("a cat")
        assert (await asking).status_code == 200


class TestManyAtOnce:
    """Photos that arrive together: those that do not fit into the byte budget at once wait for the others."""

    async def test_three_photos_at_once_are_all_taken(self, proxy: Proxy) -> None:
        photo = "data:image/jpeg;base64," + "x" * (8 * 1024 * 1024 - 300)
        body = json.dumps({"messages": [{"role": "user", "content": photo}]})
        async with holding(proxy.kubernetes, "create", RUN_PARTS) as first:  # a slow API server
            asking = [asyncio.create_task(post(proxy, body)) for _ in range(3)]
            await first.comes()
            await asyncio.sleep(0.5)
            first.go()
        await eventually(lambda: len(proxy.kubernetes.names(RUNS)) == 3)
        for name in proxy.kubernetes.names(RUNS):
            await FakePod(proxy.kubernetes.object(RUNS, name), proxy.issuer, proxy.surface).answer("a cat")
        assert [(await task).status_code for task in asking] == [200] * 3
        assert proxy.context.budget.waiting == 0

    async def test_a_photo_that_finds_no_room_is_told_when_to_come_again(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(held, "_WAIT_SECONDS", 0.2)
        budget = proxy.context.budget
        budget.add(budget.limit - 8 * 1024 * 1024)
        refused = await post(proxy)
        budget.add(8 * 1024 * 1024 - budget.limit)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert (budget.used, budget.waiting) == (0, 0)
