"""Runs of published agents over HTTP."""

import asyncio
import uuid
from typing import Any, Never

import pytest
from structlog.testing import capture_logs
from tests.fakes.pod import done, failed
from tests.integration.conftest import eventually
from tests.integration.platform.agents import draft, publish
from tests.integration.platform.asking import ASYNC, answered, ask, pruned, stored
from tests.integration.platform.conftest import NAMESPACE, OTHER_NAMESPACE, TENANT, Platform, error

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import INSTANCES, RUNS
from sympozium_archive.run_queries import RunQueries
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_domain.stored_runs.run_finder import RunFinder


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


async def test_a_caller_that_leaves_ends_its_request_and_not_the_run(platform: Platform) -> None:
    agent = publish(platform.kubernetes)
    with capture_logs() as logs:
        asking = [asyncio.create_task(ask(platform, agent, fields={"session_id": "s"})) for _ in range(2)]
        pod = await platform.pod()
        in_flight = "sympozium_http_requests_in_flight"
        await eventually(lambda: platform.context.metrics.registry.get_sample_value(in_flight) == 2)
        for task in reversed(asking):
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

        def statuses() -> list[int]:
            return [line["status"] for line in logs if line.get("route") == "/runs" and line["method"] == "POST"]

        await eventually(lambda: len(statuses()) == 2)
    assert statuses() == [499, 499]
    await pod.answer("Hello")
    [run] = (await platform.request("GET", "/runs")).json()
    assert run["output_message"] == "Hello"


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


async def test_runs_go_on_and_are_found_while_the_database_is_away(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> Never:
        raise DatabaseUnavailable("unreachable", "away")

    for query in ("run", "known", "history", "count"):
        monkeypatch.setattr(RunQueries, query, away)
    run = await answered(platform, publish(platform.kubernetes))
    assert run["output_message"] == "Hello"
    another_replica = RunFinder(platform.kubernetes, platform.context.database, platform.context.instance_runs)
    found = await another_replica.find(NAMESPACE, run["id"])
    assert found is not None
    assert found.status == "succeeded"
    assert await another_replica.find(OTHER_NAMESPACE, run["id"]) is None
    assert error(await platform.request("GET", "/runs"), 503)["code"] == "database_unavailable"
