"""Long requests hold up nobody, and find their run when they are repeated."""

import asyncio
import json
import threading
from typing import Any

import pytest
from tests.integration.conftest import Proxy
from tests.integration.test_long_requests import TestCrashes as Crashes
from tests.integration.test_long_requests import is_whole, post, restarted, task_of

from sympozium_api.agent_protocol import Task
from sympozium_api.client import ApiUnavailable
from sympozium_api.json_text import StoredText, json_text
from sympozium_api.resources import RUN_PARTS, RUNS, Object
from sympozium_runs import agent_task, long_questions, run_request
from sympozium_runs.run_queue import QueueFull
from sympozium_webproxy import storable_json

KEY = {"Idempotency-Key": "k"}


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
    monkeypatch.setattr(proxy.context.runs._queue, "reserve", full)
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
