"""Repeated long requests find their run, and hold up nobody."""

import asyncio
import threading
from typing import Any

import pytest
from tests.integration.conftest import Proxy
from tests.integration.test_long_requests import is_whole, post

from sympozium_api.client import ApiUnavailable
from sympozium_api.json_text import StoredText, json_text
from sympozium_api.resources import RUN_PARTS, RUNS, Object
from sympozium_runs import run_request
from sympozium_runs.run_queue import QueueFull

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
