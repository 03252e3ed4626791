"""Sessions of the console: runs with the same ``sessionKey`` are one conversation."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from tests.fakes.session_world import messages_of
from tests.integration.console.conftest import Console, error

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS, Object

pytestmark = pytest.mark.usefixtures("watching")

RUNS_URL = "/api/v1/runs"


async def say(console: Console, text: str, session: str = "s", headers: Any = None, **fields: Any) -> httpx2.Response:
    body = {"agentRef": "demo", "task": text, "sessionKey": session} | fields
    return await console.http.post(RUNS_URL, json=body, headers=headers)


def stored(console: Console, response: httpx2.Response) -> Object:
    assert response.status_code in (200, 201), response.text
    return console.kubernetes.object(RUNS, response.json()["metadata"]["name"])


def stored_status(console: Console, run: Object) -> Object:
    found: Object = console.kubernetes.object(RUNS, run["metadata"]["name"])["status"]
    return found


async def test_a_run_continues_the_last_one_of_its_session(console: Console) -> None:
    first = await say(console, "one")
    waiting = asyncio.create_task(say(console, "two"))
    await asyncio.sleep(0.05)
    assert len(console.kubernetes.names(RUNS)) == 1
    assert not waiting.done()
    pod = await console.pod()
    await pod.answer("1")
    second = stored(console, await asyncio.wait_for(waiting, 60))
    assert messages_of(second) == ["one", "1", "two"]
    assert second["metadata"]["name"] == first.json()["metadata"]["name"][:-1] + "2"
    assert second["spec"]["sessionKey"] == "s"
    assert (
        second["metadata"]["labels"][names.LABEL_SESSION]
        == stored(console, first)["metadata"]["labels"][names.LABEL_SESSION]
    )


async def test_a_request_keeps_what_its_caller_wrote_behind_the_history(console: Console) -> None:
    await say(console, "one")
    await (await console.pod()).answer("1")
    written = (
        '{"agentRef":"demo","sessionKey":"s","request":{"messages":[{"role":"user","content":"b"}],"temperature":0.50}}'
    )
    response = await console.http.post(RUNS_URL, content=written.encode(), headers={"content-type": "application/json"})
    text = stored(console, response)["spec"]["requestText"]["json"]
    assert text.endswith(',{"role":"user","content":"b"}],"temperature":0.50}')
    assert len(json.loads(text)["messages"]) == 3


async def test_the_session_of_another_caller_is_another_one(console: Console) -> None:
    (console.tokens / "token-ci").write_text("another-token")
    await say(console, "one")
    response = await say(console, "two", headers={"Authorization": "Bearer another-token"})
    assert messages_of(stored(console, response)) == ["two"]


async def test_an_idempotency_key_holds_in_a_session(console: Console) -> None:
    key = {"Idempotency-Key": "k"}
    first = await say(console, "one", headers=key)
    await (await console.pod()).answer("1")
    second = await say(console, "two")
    again = await say(console, "one", headers=key)
    assert again.json()["metadata"]["name"] == first.json()["metadata"]["name"]
    assert (again.status_code, again.json()["status"]["result"]) == (200, "1")
    assert error(await say(console, "other", headers=key), 422)["reason"] == "IdempotencyKeyReused"
    assert len(console.kubernetes.names(RUNS)) == 2
    assert second.status_code == 201


async def test_a_history_beyond_its_bound_is_reported_in_the_status(console: Console) -> None:
    for turn, letter in enumerate("abcd", start=1):
        run = stored(console, await say(console, letter * 50_000))
        await (await console.pod(among=turn)).answer(letter.upper())
    assert [content[:1] for content in messages_of(run)] == ["b", "B", "c", "C", "d"]
    [told] = [each for each in stored_status(console, run)["conditions"] if each["type"] == "HistoryComplete"]
    assert (told["status"], told["reason"]) == ("False", "OldestLeftOut")
    assert "2 oldest messages" in told["message"]


class TestARequestThatWaits:
    async def test_ends_when_the_console_drains(self, console: Console) -> None:
        await say(console, "one")
        waiting = asyncio.create_task(say(console, "two"))
        await asyncio.sleep(0.05)
        console.context.draining.set()
        refused = await asyncio.wait_for(waiting, 60)
        assert error(refused, 503)["reason"] == "Stopping"
        assert len(console.kubernetes.names(RUNS)) == 1

    async def test_ends_with_its_caller_and_makes_no_run(self, console: Console) -> None:
        await say(console, "one")
        waiting = asyncio.create_task(say(console, "two"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0.05)
        await (await console.pod()).answer("1")
        await asyncio.sleep(0.1)
        assert len(console.kubernetes.names(RUNS)) == 1

    async def test_too_long_is_told_that_its_session_is_busy(
        self, console: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await say(console, "one")
        monkeypatch.setattr("sympozium_domain.instance_runs.TURN_SECONDS", 0.05)
        refused = await say(console, "two")
        assert error(refused, 409)["reason"] == "SessionBusy"
        assert refused.headers["retry-after"] == "5"

    async def test_is_refused_if_its_instance_takes_no_runs_by_then(
        self, console: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sympozium_domain.sessions.turns._FRESH_SECONDS", 0.01)
        await say(console, "one")
        waiting = asyncio.create_task(say(console, "two"))
        await asyncio.sleep(0.05)
        deleting = console.instance()
        console.kubernetes.put(deleting | {"metadata": deleting["metadata"] | {"labels": {names.LABEL_DELETING: "1"}}})
        await (await console.pod()).answer("1")
        assert error(await asyncio.wait_for(waiting, 60), 409)["reason"] == "InstanceDeleting"
        assert len(console.kubernetes.names(RUNS)) == 1

    async def test_asks_the_model_that_its_instance_has_by_then(
        self, console: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sympozium_domain.sessions.turns._FRESH_SECONDS", 0.01)
        await say(console, "one")
        waiting = asyncio.create_task(say(console, "two"))
        await asyncio.sleep(0.05)
        changed = console.instance()
        console.kubernetes.put(changed | {"spec": changed["spec"] | {"agents": {"default": {"model": "newer"}}}})
        await (await console.pod()).answer("1")
        response = await asyncio.wait_for(waiting, 60)
        assert response.status_code == 201
        assert "model" not in response.json()["spec"]

    async def test_while_the_api_server_is_away_is_503(self, console: Console) -> None:
        console.kubernetes.refuse("list", RUNS, ApiUnavailable("away"))
        assert error(await say(console, "one"), 503)["reason"] == "ServiceUnavailable"


async def test_a_run_that_only_has_the_next_turns_name_is_named(console: Console) -> None:
    name = (await say(console, "one")).json()["metadata"]["name"]
    console.kubernetes.remove(RUNS, name)
    console.kubernetes.put(
        {
            "apiVersion": names.API_VERSION,
            "kind": "AgentRun",
            "metadata": {"name": name},
            "spec": {"agentRef": "demo", "task": "x"},
        }
    )
    refusal = error(await say(console, "one"), 409)
    assert refusal["reason"] == "TurnNameTaken"
    assert name in refusal["message"]
