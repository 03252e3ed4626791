"""Answers of many values, such as log probabilities, hold up no other callers: they are checked beside the event loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.fakes.pod import done
from tests.integration.conftest import Proxy
from tests.integration.test_long_answers import HEADERS, KEYED, STARTED, status_of
from tests.integration.test_long_requests import restarted

from sympozium_api import end_record


def counting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count the values of answers that are checked in the event loop's thread."""
    parts, walked = end_record._parts, 0

    def counted(value: Any) -> Iterator[tuple[int, Any]]:
        nonlocal walked
        for part in parts(value):
            walked += threading.current_thread() is threading.main_thread()
            yield part

    monkeypatch.setattr(end_record, "_parts", counted)
    return lambda: walked


async def test_an_answer_of_many_values_is_checked_beside_the_event_loop(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = counting(monkeypatch)
    pieces = [{"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}] * 10_000
    end: Any = done("a" * 10_000)
    end["choices"][0]["logprobs"] = {"content": pieces}
    asked = asyncio.create_task(proxy.chat(headers=KEYED))
    pod = await proxy.pod()
    assert (await pod.say(STARTED, end)).json() == {"stored": True}
    assert (await asked).json()["choices"][0]["logprobs"]["content"] == pieces
    assert status_of(proxy, pod.run)["answer"]["parts"] >= 1
    assert walked() < 1000
    async with restarted(proxy) as other:
        assert (await other.chat(headers=KEYED)).status_code == 200
    assert walked() < 1000


async def test_a_response_of_many_values_is_read_beside_the_event_loop(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = counting(monkeypatch)
    end: Any = done("a" * 10_000)
    end["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -1.0, "bytes": [97]}] * 10_000}
    asked = asyncio.create_task(proxy.http.post("/v1/responses", json={"input": "hello"}, headers=HEADERS))
    pod = await proxy.pod()
    assert (await pod.say(STARTED, end)).json() == {"stored": True}
    first = (await asked).json()
    assert (await proxy.http.get(f"/v1/responses/{first['id']}", headers=HEADERS)).json() == first
    follows = {"input": "and", "previous_response_id": first["id"]}
    asked = asyncio.create_task(proxy.http.post("/v1/responses", json=follows, headers=HEADERS))
    pod = await proxy.pod(among=2)
    await pod.answer("Hello")
    assert (await asked).status_code == 200
    assert walked() < 1000
