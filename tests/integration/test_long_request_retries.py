"""Long requests hold up nobody, and find their run when they are repeated."""

import asyncio
import json
import secrets
import threading
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.integration.conftest import Proxy, eventually
from tests.integration.test_any_stored_object import META, MODERN
from tests.integration.test_long_requests import BODY, SMALL, is_whole, parts_of, post, restarted, task_of
from tests.integration.test_long_requests import TestCrashes as Crashes

from sympozium_api.agent_records import Task
from sympozium_api.client import ApiUnavailable
from sympozium_api.json_text import StoredText, json_text
from sympozium_api.resources import RUN_PARTS, RUNS, Object, ResourceType
from sympozium_http import storable_json
from sympozium_runs import agent_task, long_questions, run_request
from sympozium_runs.run_queue import QueueFull, RunQueue

KEY = {"Idempotency-Key": "k"}
MCP = MODERN | {"Mcp-Method": "tools/call", "Mcp-Name": "ask_agent"}


@pytest.fixture
def max_body_bytes() -> int:
    return 8 * 1024 * 1024


async def test_a_retry_after_the_api_server_was_away_is_not_cancelled(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> Object:
        raise ApiUnavailable("away")

    proxy.kubernetes.refuse("create", RUN_PARTS, ApiUnavailable("away"))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(proxy.kubernetes, "patch", away)
        assert (await post(proxy, **KEY)).status_code == 503
        await asyncio.sleep(0.05)
    asking = asyncio.create_task(post(proxy, **KEY))
    pod = await proxy.pod()
    assert is_whole(await pod.task())
    await asyncio.sleep(0.5)  # a write that failed is repeated after 0.25 s
    cancelled = proxy.kubernetes.object(RUNS, pod.run)["spec"].get("cancel")
    await pod.answer("a cat")
    assert (cancelled, (await asking).status_code) == (False, 200)


async def test_a_retry_that_finds_the_queue_full_is_hashed_in_a_thread(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = asyncio.create_task(post(proxy, **KEY))
    pod = await proxy.pod()
    await pod.answer("a cat")
    await asking
    made, threads = json_text, list[threading.Thread]()

    def watched(text: str, **bounds: int) -> StoredText:
        threads.append(threading.current_thread())
        return made(text, **bounds)

    def full(*_: object) -> None:
        raise QueueFull

    monkeypatch.setattr(run_request, "json_text", watched)
    monkeypatch.setattr(RunQueue, "reserve", full)
    assert (await post(proxy, **KEY)).status_code == 200
    assert threads
    assert threading.main_thread() not in threads


async def test_the_task_of_a_long_request_is_made_in_a_thread(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of an event loop is a second for all callers: a photo of 8 MiB beside one emoji takes about as long."""
    build, threads = agent_task.build, list[threading.Thread]()

    def watched(*words: Any, **options: Any) -> Task:
        threads.append(threading.current_thread())
        return build(*words, **options)

    monkeypatch.setattr(agent_task, "build", watched)
    asking = asyncio.create_task(post(proxy))
    pod = await proxy.pod()
    assert is_whole(await pod.task())
    await pod.answer("a cat")
    await asking
    assert threads
    assert threading.main_thread() not in threads


async def test_a_pod_whose_parts_are_missing_holds_up_no_other(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = await Crashes().crash(proxy, 2)
    monkeypatch.setattr(long_questions, "_WAIT_SECONDS", 30.0)
    async with restarted(proxy) as other:
        waiting = asyncio.create_task(task_of(other, lost))
        await asyncio.sleep(0.05)
        asking = asyncio.create_task(post(other))
        pod = await other.pod(among=2)
        assert is_whole(await pod.task())
        assert not waiting.done()
        await pod.answer("a cat")
        assert (await asking).status_code == 200
        waiting.cancel()


async def test_a_long_message_of_mcp_is_parsed_in_a_thread(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two MiB of small values take 0.4 s."""
    parsed, threads = storable_json.parse, list[threading.Thread]()

    def watched(text: str) -> Any:
        threads.append(threading.current_thread())
        return parsed(text)

    monkeypatch.setattr(storable_json, "parse", watched)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"x": "x" * 2 * 1024 * 1024}}}
    await post(proxy, json.dumps(message), "/mcp", Accept="application/json, text/event-stream")
    assert threads
    assert threading.main_thread() not in threads


OTHER_BYTES = BODY.replace('"z": 1.0, "a": 1e3', '"a": 1000.0, "z": 1.0')
"""The same request, written by another client: its text is another one."""


class TestOtherBytes:
    """A retry with the same request in other bytes, which cannot complete the run."""

    @pytest.mark.parametrize("step", [1, 3])
    async def test_it_makes_another_run_instead_of_the_one_that_nobody_completes(self, proxy: Proxy, step: int) -> None:
        run, clock = await Crashes().crash(proxy, step, **KEY), FakeClock()
        clock.advance(21)
        async with restarted(proxy, clock) as other:
            asking = asyncio.create_task(post(other, OTHER_BYTES, **KEY))
            await eventually(
                lambda: proxy.kubernetes.object(RUNS, run["metadata"]["name"])["spec"].get("cancel", False)
            )
            await ended(proxy, run, phase="Cancelled")
            pod = await other.pod(among=2)
            assert '"a":1000.0' in (await pod.task()).text
            await pod.answer("a cat")
            assert (await asking).headers["x-sympozium-run"] == pod.run != run["metadata"]["name"]
        assert len(parts_of(proxy)) == step - 1 + run["spec"]["requestText"]["parts"]

    async def test_it_waits_for_the_replica_that_still_writes(self, proxy: Proxy) -> None:
        create, may_write = proxy.kubernetes.create, asyncio.Event()

        async def slow(kind: ResourceType, *words: Any, **options: Any) -> Object:
            if kind == RUN_PARTS:
                await may_write.wait()
            return await create(kind, *words, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(proxy.kubernetes, "create", slow)
            first = asyncio.create_task(post(proxy, **KEY))
            await eventually(lambda: len(proxy.kubernetes.names(RUNS)) == 1)
            async with restarted(proxy) as other:
                again = asyncio.create_task(post(other, OTHER_BYTES, **KEY))
                await asyncio.sleep(0.05)
                may_write.set()
                pod = await proxy.pod()
                assert is_whole(await pod.task())
                await pod.answer("a cat")
                assert (await first).json()["choices"] == (await again).json()["choices"]
        assert len(parts_of(proxy)) == proxy.kubernetes.object(RUNS, pod.run)["spec"]["requestText"]["parts"]

    async def test_it_gets_the_answer_of_a_run_that_ended(self, proxy: Proxy) -> None:
        first = asyncio.create_task(post(proxy, **KEY))
        pod = await proxy.pod()
        await pod.answer("a cat")
        assert (await post(proxy, OTHER_BYTES, **KEY)).json() == (await first).json()


async def ended(proxy: Proxy, run: Object, **status: str) -> None:
    """End a run as the operator does."""
    await proxy.kubernetes.patch(RUNS, "default", run["metadata"]["name"], {"status": status}, subresource="status")


async def test_a_retry_does_not_read_a_long_answer_where_the_process_holds_too_much(proxy: Proxy) -> None:
    asking = asyncio.create_task(post(proxy, SMALL, **KEY))
    pod = await proxy.pod()
    await pod.answer(secrets.token_hex(1024 * 1024))
    assert (await asking).status_code == 200
    async with restarted(proxy) as other:
        budget = other.context.budget
        budget.add(budget.limit - 4 * 1024 * 1024)
        refused = await post(other, SMALL, **KEY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        budget.add(4 * 1024 * 1024 - budget.limit)
        assert (await post(other, SMALL, **KEY)).json() == (await asking).json()
        assert budget.used == 0


@pytest.mark.parametrize("path", ["/v1/responses", "/mcp"])
async def test_a_long_input_is_written_as_json_in_threads(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A text of 8 MiB with an emoji takes 0.2 s each time that it is written."""
    dumps, on_loop = json.dumps, list[int]()

    def watched(value: Any, **options: Any) -> str:
        text = dumps(value, **options)
        if threading.current_thread() is threading.main_thread() and len(text) > 1024 * 1024 + 8192:
            on_loop.append(len(text))
        return text

    text = "x" * 3 * 1024 * 1024 + "\U0001f600"
    call = {"name": "ask_agent", "arguments": {"task": text}}
    bodies = {
        "/v1/responses": {"input": text},
        "/mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call | {"_meta": META}},
    }
    body = dumps(bodies[path], ensure_ascii=False)
    monkeypatch.setattr(json, "dumps", watched)
    asking = asyncio.create_task(post(proxy, body, path, Accept="application/json, text/event-stream", **MCP))
    pod = await proxy.pod()
    assert (await pod.task()).json()["request"]["messages"][-1]["content"] == text
    await pod.answer("a cat")
    assert (await asking).status_code == 200
    assert on_loop == []
