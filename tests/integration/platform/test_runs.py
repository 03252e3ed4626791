"""Runs of published agents over HTTP."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.pod import done, failed
from tests.fakes.session_world import messages_of
from tests.integration.platform.agents import draft, publish
from tests.integration.platform.conftest import NAMESPACE, OTHER_NAMESPACE, TENANT, Platform, error, serving

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_archive.database import Database
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.tables import CONTENT_KEPT
from sympozium_platform.platform_settings import PlatformSettings

ASYNC = {"Prefer": "respond-async"}


async def ask(platform: Platform, agent: str, text: str = "hi", **options: Any) -> httpx2.Response:
    body = {"agent_id": agent, "input_message": text} | options.pop("fields", {})
    return await platform.request("POST", options.pop("path", "/runs"), json=body, **options)


async def answered(platform: Platform, agent: str, text: str = "hi", words: str = "Hello", **options: Any) -> Any:
    """The answer to a message whose pod answers these words."""
    number = len(platform.kubernetes.names(RUNS)) + 1
    asking = asyncio.create_task(ask(platform, agent, text, **options))
    await (await platform.pod(among=number)).answer(words)
    response = await asking
    assert response.status_code == 200, response.text
    return response.json()


def stored(platform: Platform, run_id: str) -> Object:
    [found] = [
        body
        for (plural, _, _), body in platform.kubernetes.objects.items()
        if plural == RUNS.plural and body["metadata"]["uid"] == run_id
    ]
    return found


async def test_a_run_is_answered_at_its_end(platform: Platform) -> None:
    agent = publish(platform.kubernetes)
    run = await answered(platform, agent)
    assert run == {
        "id": run["id"],
        "tenant_id": TENANT,
        "agent_id": agent,
        "session_id": run["session_id"],
        "trace_id": run["trace_id"],
        "status": "succeeded",
        "input_message": "hi",
        "output_message": "Hello",
        "error_message": None,
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "tools_called": None,
        "messages": None,
        "created_at": run["created_at"],
        "updated_at": run["updated_at"],
    }
    assert (await platform.request("GET", f"/runs/{run['id']}")).json() == run
    listed = await platform.request("GET", "/runs")
    assert (listed.json(), listed.headers["x-total-count"]) == ([run], "1")


async def test_a_run_that_fails_is_answered_with_200(platform: Platform) -> None:
    asking = asyncio.create_task(ask(platform, publish(platform.kubernetes)))
    await (await platform.pod()).say({"type": "started"}, failed("model_error", "The model is down.", 502))
    response = await asking
    run = response.json()
    assert (response.status_code, run["status"], run["output_message"]) == (200, "failed", None)
    assert run["error_message"] == "The model is down."
    assert (run["prompt_tokens"], run["total_tokens"]) == (None, None)


async def test_a_caller_may_take_the_answer_later(platform: Platform) -> None:
    response = await ask(platform, publish(platform.kubernetes), headers=ASYNC)
    run = response.json()
    assert (response.status_code, run["status"], run["input_message"]) == (202, "queued", "hi")
    assert response.headers["location"] == f"/runs/{run['id']}"
    assert [each["id"] for each in (await platform.request("GET", "/runs")).json()] == [run["id"]]
    await (await platform.pod()).answer("Hello")
    assert (await platform.request("GET", f"/runs/{run['id']}")).json()["output_message"] == "Hello"


async def test_the_run_has_the_version_the_caller_and_the_trace(platform: Platform) -> None:
    agent = publish(platform.kubernetes, number=3, model="old", params={"temperature": 0.5})
    draft(platform.kubernetes, prompt="Be rude.", model="new", providerRef="other", params={"temperature": 1.5})
    sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run = (await ask(platform, agent, headers=ASYNC | {"traceparent": sent})).json()
    assert run["trace_id"] == str(uuid.UUID("0af7651916cd43dd8448eb211c80319c"))
    body = stored(platform, run["id"])
    spec, metadata = body["spec"], body["metadata"]
    assert spec["model"] == {"providerRef": "claude", "model": "old"}
    assert (spec["systemPrompt"], spec["params"]) == ("Be kind.", {"temperature": 0.5})
    assert spec["caller"] == {"user": "ada", "scopes": ["tools:write", "tools:read"]}
    assert (metadata["labels"][names.LABEL_VERSION], metadata["labels"][names.LABEL_SOURCE]) == ("3", "api")
    assert (
        metadata["annotations"][names.ANNOTATION_AGENT_ID],
        metadata["annotations"][names.ANNOTATION_AGENT_TITLE],
    ) == (
        agent,
        "Bot",
    )


async def test_a_run_may_call_only_what_its_caller_may(platform: Platform) -> None:
    token = await platform.token("tools:read", user="grace")
    run = (await ask(platform, publish(platform.kubernetes), token=token, headers=ASYNC)).json()
    assert stored(platform, run["id"])["spec"]["caller"] == {"user": "grace", "scopes": ["tools:read"]}


class TestASession:
    async def test_gives_the_model_its_earlier_turns_to_whoever_asks(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        first = await answered(platform, agent, "one", "1")
        session = {"session_id": first["session_id"]}
        token = await platform.token("tools:read", user="grace")
        second = (await ask(platform, agent, "two", fields=session, token=token, headers=ASYNC)).json()
        assert second["session_id"] == first["session_id"]
        assert second["input_message"] == "two"
        assert messages_of(stored(platform, second["id"])) == ["one", "1", "two"]

    async def test_is_a_new_one_without_an_id(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        first, second = [(await ask(platform, agent, headers=ASYNC)).json() for _ in range(2)]
        assert first["session_id"] != second["session_id"]
        assert messages_of(stored(platform, second["id"])) == ["hi"]

    async def test_of_another_tenant_or_agent_is_another_one(self, platform: Platform) -> None:
        session = {"session_id": "s"}
        await answered(platform, publish(platform.kubernetes), "one", "1", fields=session)
        other = publish(platform.kubernetes, "other")
        run = (await ask(platform, other, "two", fields=session, headers=ASYNC)).json()
        assert messages_of(stored(platform, run["id"])) == ["two"]
        token = await platform.token(namespace=OTHER_NAMESPACE)
        theirs = publish(platform.kubernetes, namespace=OTHER_NAMESPACE)
        run = (await ask(platform, theirs, "two", fields=session, token=token, headers=ASYNC)).json()
        assert messages_of(stored(platform, run["id"])) == ["two"]

    async def test_goes_on_after_its_agent_was_restored_under_another_uid(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        first = await answered(platform, agent, "one", "1", fields={"session_id": "s"})
        instance = platform.kubernetes.objects.pop(("sympoziuminstances", NAMESPACE, "bot"))
        platform.kubernetes.put(instance | {"metadata": instance["metadata"] | {"uid": str(uuid.uuid4())}})
        second = (await ask(platform, agent, "two", fields={"session_id": "s"}, headers=ASYNC)).json()
        assert messages_of(stored(platform, second["id"])) == ["one", "1", "two"]
        assert second["agent_id"] == first["agent_id"] == agent


class TestAnIdempotencyKey:
    KEY = {"Idempotency-Key": "k"}

    @pytest.mark.parametrize("fields", [{}, {"session_id": "s"}])
    async def test_finds_its_run_again_also_as_a_stream(self, platform: Platform, fields: dict[str, str]) -> None:
        agent = publish(platform.kubernetes)
        first = await answered(platform, agent, headers=self.KEY, fields=fields)
        again = await ask(platform, agent, headers=self.KEY, fields=fields)
        assert (again.status_code, again.json()) == (200, first)
        replayed = events(await ask(platform, agent, headers=self.KEY, fields=fields, path="/runs/stream"))
        assert [name for name, _ in replayed] == ["start", "result"]
        assert (replayed[0][1]["run_id"], replayed[1][1]["output"]) == (first["id"], "Hello")
        assert len(platform.kubernetes.names(RUNS)) == 1

    @pytest.mark.parametrize("other", [{"input_message": "bye"}, {"session_id": "s"}, {"agent_id": None}])
    async def test_with_another_body_is_refused(self, platform: Platform, other: dict[str, Any]) -> None:
        agent, another = publish(platform.kubernetes), publish(platform.kubernetes, "other")
        await answered(platform, agent, headers=self.KEY)
        fields = {name: value or another for name, value in other.items()}
        refusal = error(await ask(platform, agent, headers=self.KEY, fields=fields), 422, "Idempotency-Key")
        assert refusal["code"] == "idempotency_key_reused"
        assert len(platform.kubernetes.names(RUNS)) == 1

    async def test_is_its_api_keys_own(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        mine = (await ask(platform, agent, headers=self.KEY | ASYNC)).json()
        other = await ask(platform, agent, "bye", headers=self.KEY | ASYNC, token=await platform.token())
        assert (other.status_code, other.json()["id"] != mine["id"]) == (202, True)


def events(response: httpx2.Response) -> list[tuple[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for frame in response.text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


class TestAStream:
    async def test_starts_at_once_and_ends_with_the_result(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        body = {"agent_id": agent, "input_message": "hi"}
        async with platform.http.stream("POST", "/runs/stream", json=body) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "event: start"
            start = json.loads((await anext(lines)).removeprefix("data: "))
            run = (await platform.request("GET", f"/runs/{start['run_id']}")).json()
            assert start == {"run_id": run["id"], "trace_id": run["trace_id"]}
            await (await platform.pod()).answer("Hel", "lo")
            rest = [line async for line in lines if line]
        assert rest[0] == "event: result"
        tokens = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        assert json.loads(rest[1].removeprefix("data: ")) == {"output": "Hello", "tokens": tokens}
        assert len(rest) == 2

    async def test_ends_with_the_error_of_a_run_that_failed(self, platform: Platform) -> None:
        asking = asyncio.create_task(ask(platform, publish(platform.kubernetes), path="/runs/stream"))
        await (await platform.pod()).say({"type": "started"}, failed("model_error", "The model is down.", 502))
        assert events(await asking)[1:] == [("error", {"error": "The model is down."})]

    async def test_may_have_the_answer_as_it_is_written_and_the_tools(self, platform: Platform) -> None:
        asking = asyncio.create_task(ask(platform, publish(platform.kubernetes), path="/runs/stream?deltas=true"))
        tool = {"type": "tool", "id": "c1", "function": "echo", "state": "started"}
        words = [{"type": "delta", "choices": [{"index": 0, "delta": {"content": word}}]} for word in ("Hel", "lo")]
        await (await platform.pod()).say({"type": "started"}, tool, *words, done("Hello"))
        found = events(await asking)
        assert [name for name, _ in found] == ["start", "tool", "delta", "delta", "result"]
        assert found[1][1] == {"id": "c1", "function": "echo", "state": "started"}
        assert "".join(data["content"] for name, data in found if name == "delta") == "Hello"

    async def test_that_its_caller_leaves_ends_nothing(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        body = {"agent_id": agent, "input_message": "hi"}
        async with platform.http.stream("POST", "/runs/stream", json=body) as response:
            await anext(response.aiter_lines())
        await (await platform.pod()).answer("Hello")
        [run] = (await platform.request("GET", "/runs")).json()
        assert (run["status"], run["output_message"]) == ("succeeded", "Hello")

    async def test_and_a_wait_end_when_the_console_is_replaced_and_the_run_goes_on(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        waiting = asyncio.create_task(ask(platform, agent))
        first = await platform.pod()
        streaming = asyncio.create_task(ask(platform, agent, path="/runs/stream"))
        await platform.pod(among=2)
        platform.console.draining.set()
        response = await waiting
        assert (response.status_code, response.json()["status"]) == (202, "queued")
        assert [name for name, _ in events(await streaming)] == ["start"]
        await first.answer("Hello")
        run = await platform.request("GET", f"/runs/{response.json()['id']}")
        assert run.json()["output_message"] == "Hello"


class TestARefusal:
    @pytest.mark.parametrize("path", ["/runs", "/runs/stream"])
    async def test_is_plain(self, platform: Platform, path: str) -> None:
        agent = publish(platform.kubernetes)
        for fields, param in (
            ({"agent_id": "x"}, "agent_id"),
            ({"input_message": ""}, "input_message"),
            ({"input_message": 3}, "input_message"),
            ({"session_id": "s" * 254}, "session_id"),
            ({"more": 1}, "more"),
        ):
            error(await ask(platform, agent, fields=fields, path=path), 422, param)
        error(await platform.request("POST", path, content=b"{"), 400)
        error(await ask(platform, str(uuid.uuid4()), path=path), 404)
        error(await ask(platform, agent, path=f"{path}?more=1"), 422, "more")
        error(await ask(platform, agent, path=path, headers={"Idempotency-Key": "k" * 256}), 422, "idempotency-key")
        error(await ask(platform, agent, path=path, token=""), 401)
        assert platform.kubernetes.names(RUNS) == []

    async def test_of_an_agent_that_was_never_published_is_409(self, platform: Platform) -> None:
        agent = draft(platform.kubernetes)["metadata"]["labels"][names.LABEL_ID]
        assert error(await ask(platform, agent), 409, "agent_id")["code"] == "not_published"

    async def test_meets_a_version_whose_address_is_gone(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes, providerRef=None, baseURL="http://model/v1")
        assert (await ask(platform, agent, headers=ASYNC)).status_code == 202
        draft(platform.kubernetes, providerRef=None, baseURL="http://other/v1")
        assert error(await ask(platform, agent), 409, "agent_id")["code"] == "not_published"

    async def test_meets_other_tenants(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        run = await answered(platform, agent)
        token = await platform.token(namespace=OTHER_NAMESPACE)
        error(await ask(platform, agent, token=token), 404)
        error(await platform.request("GET", f"/runs/{run['id']}", token=token), 404)
        theirs = await platform.request("GET", "/runs", token=token)
        assert (theirs.json(), theirs.headers["x-total-count"]) == ([], "0")

    async def test_of_an_id_that_is_none_names_it(self, platform: Platform) -> None:
        error(await platform.request("GET", "/runs/x"), 422, "run_id")
        error(await platform.request("GET", f"/runs/{uuid.uuid4()}"), 404)
        error(await platform.request("GET", "/runs?limit=0"), 422, "limit")
        error(await platform.request("GET", "/runs?include=all"), 422, "include")


async def test_lists_have_the_newest_runs_first_and_pages(platform: Platform) -> None:
    agent = publish(platform.kubernetes)
    runs = [(await ask(platform, agent, f"{n}", headers=ASYNC)).json()["id"] for n in range(3)]
    page = await platform.request("GET", "/runs?limit=2&offset=1")
    assert [each["id"] for each in page.json()] == runs[1::-1]
    assert page.headers["x-total-count"] == "3"


async def test_a_run_has_its_tools_and_messages(platform: Platform) -> None:
    agent = publish(platform.kubernetes)
    asking = asyncio.create_task(ask(platform, agent, path="/runs?include=messages"))
    steps = [
        {"kind": "model", "name": "claude:m", "inputTokens": 5, "outputTokens": 1},
        {"kind": "tool", "name": "echo_tool", "title": "Echo!", "id": "c1", "args": '{"text": "hello"}'},
        {"kind": "tool", "name": "cut", "id": "c2", "args": '{"text": "hel', "error": "no such tool"},
        {"kind": "model", "name": "claude:m", "inputTokens": 9, "outputTokens": 2},
    ]
    await (await platform.pod()).say({"type": "started"}, done("hello") | {"steps": steps})
    run = (await asking).json()
    assert run["tools_called"] == [
        {"name": "Echo!", "tool_call_id": "c1", "args": {"text": "hello"}},
        {"name": "cut", "tool_call_id": "c2", "args": '{"text": "hel'},
    ]
    parts = [[part["part_kind"] for part in message["parts"]] for message in run["messages"]]
    assert parts == [["system-prompt", "user-prompt"], ["tool-call"] * 2, ["tool-return"] * 2, ["text"]]
    assert [message["kind"] for message in run["messages"]] == ["request", "response"] * 2
    again = await platform.request("GET", f"/runs/{run['id']}?include=messages")
    assert again.json()["messages"] == run["messages"]


async def pruned(platform: Platform, run: Any) -> RunRow:
    """The row of a run that the archive has, and Kubernetes has no more."""
    name = stored(platform, run["id"])["metadata"]["name"]
    async with asyncio.timeout(60):
        while (row := await platform.context.indexed_runs.run(run["id"])) is None or row.content_state != CONTENT_KEPT:
            await asyncio.sleep(0.01)
    await platform.kubernetes.delete(RUNS, NAMESPACE, name)
    return row


async def test_a_session_continues_from_the_archive(archiving: Platform) -> None:
    agent = publish(archiving.kubernetes)
    first = await answered(archiving, agent, "one", "1", fields={"session_id": "s"})
    row = await pruned(archiving, first)
    forged = replace(row, uid=str(uuid.uuid4()), name=f"{row.name[:-1]}7", key_id=None)
    await RunRows(archiving.context.database).upsert([forged])
    second = await answered(archiving, agent, "two", "2", fields={"session_id": "s"})
    body = stored(archiving, second["id"])
    assert (messages_of(body), body["metadata"]["name"]) == (["one", "1", "two"], f"{row.name[:-1]}2")
    assert second["input_message"] == "two"
    await pruned(archiving, second)
    third = (await ask(archiving, agent, "three", fields={"session_id": "s"}, headers=ASYNC)).json()
    assert messages_of(stored(archiving, third["id"])) == ["one", "1", "two", "2", "three"]


async def test_an_archived_run_stays_readable_after_its_agent_is_deleted(archiving: Platform) -> None:
    agent = publish(archiving.kubernetes)
    run = await answered(archiving, agent)
    await pruned(archiving, run)
    await archiving.kubernetes.delete(INSTANCES, NAMESPACE, "bot")
    kept = await archiving.request("GET", f"/runs/{run['id']}")
    assert kept.json() == run | {"updated_at": kept.json()["updated_at"]}
    assert (await archiving.request("GET", "/runs")).json() == [kept.json()]


async def test_a_start_costs_one_read_and_one_write(platform: Platform) -> None:
    agent = publish(platform.kubernetes)
    await ask(platform, agent, headers=ASYNC)
    before = len(platform.kubernetes.reads)
    body = {"agent_id": agent, "input_message": "hi"}
    async with platform.http.stream("POST", "/runs/stream", json=body) as response:
        await anext(response.aiter_lines())
        assert [read[1] for read in platform.kubernetes.reads[before:]] == [INSTANCES.plural]


async def test_a_stream_is_kept_alive(tmp_path: Path) -> None:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database, PlatformSettings(keep_alive_seconds=1)) as platform:
        body = {"agent_id": publish(platform.kubernetes), "input_message": "hi"}
        async with platform.http.stream("POST", "/runs/stream", json=body) as response:
            lines = [line async for line in async_until(response.aiter_lines(), ": keep-alive")]
        assert lines[0] == "event: start"
    await database.close()


async def async_until(lines: AsyncIterator[str], last: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line == last:
            return


async def test_a_start_is_in_the_audit(archiving: Platform) -> None:
    run = await answered(archiving, publish(archiving.kubernetes), headers={"Idempotency-Key": "k"})
    found: list[Any] = []

    async def audited() -> bool:
        found[:] = (await archiving.request("GET", f"/audit?resource_id={run['id']}")).json()
        return bool(found)

    async with asyncio.timeout(60):
        while not await audited():
            await asyncio.sleep(0.01)
    assert (found[0]["action"], found[0]["idempotency_key"]) == ("run.create", "k")
    assert found[0]["trace_id"] in (run["trace_id"], run["trace_id"].replace("-", ""))


async def test_a_run_whose_end_cannot_be_read_back_is_still_answered(platform: Platform) -> None:
    agent = publish(platform.kubernetes)
    asking = asyncio.create_task(ask(platform, agent))
    pod = await platform.pod()
    platform.kubernetes.refuse("get", RUNS, *[ApiUnavailable("away")] * 20)
    await pod.answer("Hello")
    run = (await asking).json()
    assert (run["status"], run["output_message"]) == ("succeeded", "Hello")
