"""MCP sessions, cancellations and tasks at several web-proxies, none of which a client is bound to."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.pod import FakePod
from tests.integration.conftest import KEY, eventually, instance
from tests.integration.mcp_replicas import (
    VERSIONS,
    Json,
    Replica,
    World,
    ask,
    events,
    request,
    three_replicas,
)

from sympozium_api.resources import RUNS


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with three_replicas(tmp_path) as world:
        yield world


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_continues_at_any_replica(world: World, version: str) -> None:
    first, second, third = world.replicas
    session = await first.begin(version)
    assert (await second.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, session)).status_code == 202
    assert (await third.post(request("ping"), session)).json() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    calling = asyncio.create_task(second.post(ask(), session))
    await (await world.pod(second)).answer("Hello")
    answer = await calling
    message = events(answer.text)[-1][1] if "event-stream" in answer.headers["content-type"] else answer.json()
    assert message is not None
    assert message["result"]["content"] == [{"type": "text", "text": "Hello"}]


async def test_a_batch_is_answered_whole_in_the_version_that_has_batches(world: World) -> None:
    first, second, _ = world.replicas
    session = await first.begin("2025-03-26")
    notified = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await second.post([notified, notified], session)).status_code == 202
    calling = asyncio.create_task(second.post([notified, request("ping", id_="a"), ask("b"), ask("c")], session))
    await world.pod(second, among=2)
    for run in await world.kubernetes.list(RUNS, "default"):
        await FakePod(run, world.issuer, second.surface).answer("Hello")
    messages = [message for _, message in events((await calling).text) if message]
    assert [message["id"] for message in messages] == ["a", "b", "c"]
    assert [bool(message["result"].get("content")) for message in messages] == [False, True, True]


@pytest.mark.parametrize(
    ("version", "batch"),
    [
        pytest.param("2025-06-18", [request("ping")], id="no batches in this version"),
        pytest.param("2025-03-26", [], id="empty"),
        pytest.param("2025-03-26", [request("ping")] * 101, id="too many"),
        pytest.param("2025-03-26", [request("ping"), "ping"], id="no message"),
        pytest.param("2025-03-26", [request("initialize", {"protocolVersion": "2025-03-26"})], id="initialize"),
    ],
)
async def test_an_invalid_batch_is_refused(world: World, version: str, batch: list[Any]) -> None:
    session = await world.replicas[0].begin(version)
    refused = await world.replicas[1].post(batch, session)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"]


async def test_a_session_is_valid_for_its_own_key_only(world: World) -> None:
    session = await world.replicas[0].begin()
    for replica in world.replicas:
        assert (await replica.post(request("ping"), session, Authorization="Bearer sk-alice")).status_code == 404
        changed = session[:-1] + ("A" if session[-1] != "A" else "B")
        for other in (changed, "nonsense", "e30." + session.partition(".")[2]):
            assert (await replica.post(request("ping"), other)).status_code == 404
        assert (await replica.post(request("ping"))).status_code == 400
        assert (await replica.post(request("ping"), session, Authorization="Bearer sk-x")).status_code == 401


async def test_a_session_ends_with_its_key_and_with_its_time(world: World) -> None:
    replica = world.replicas[1]
    old = await replica.begin()
    world.clock.advance(25 * 3600)
    assert (await replica.post(request("ping"), old)).status_code == 404
    session = await replica.begin()
    (world.keys / "api-key").write_text("sk-next")
    world.clock.advance(5)
    assert (await replica.post(request("ping"), session, Authorization="Bearer sk-next")).status_code == 404


async def test_a_cancellation_finds_the_call_of_another_replica(world: World) -> None:
    first, second, third = world.replicas
    session = await first.begin()
    calling = asyncio.create_task(second.post(ask("7"), session))
    run = (await world.pod(second)).run
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "7"}}
    other_session = await third.begin()
    assert (await third.post(cancel, other_session)).status_code == 202
    assert not world.kubernetes.object(RUNS, run)["spec"]["cancel"]
    assert (await third.post(cancel, session)).status_code == 202
    assert world.kubernetes.object(RUNS, run)["spec"]["cancel"] is True
    world.kubernetes.put({**world.kubernetes.object(RUNS, run), "status": {"phase": "Cancelled"}})
    ended = events((await calling).text)[-1][1]
    assert ended is not None
    assert ended["result"]["isError"]


async def test_a_full_queue_has_its_status(world: World) -> None:
    replica = world.replicas[0]
    session = await replica.begin()
    world.kubernetes.put(instance(maxConcurrentRuns=1, maxQueuedRuns=0))
    await eventually(lambda: replica.context.instance_cache.served().instance.spec.max_queued_runs == 0)
    waiting = asyncio.create_task(replica.post(ask(1), session))
    pod = await world.pod(replica)
    await eventually(lambda: replica.context.open_runs() == 1)
    full = await replica.post(ask(2), session)
    assert (full.status_code, full.headers["retry-after"]) == (429, "5")
    assert full.json()["error"]["data"]["type"] == "queue_full"
    await pod.answer("Hello")
    assert (await waiting).status_code == 200


async def test_a_call_ends_when_its_caller_waits_no_longer(world: World) -> None:
    replica = world.replicas[0]
    answer = await replica.post(ask(), await replica.begin(), **{"x-request-timeout": "0.05"})
    ended = events(answer.text)[-1][1]
    assert ended is not None
    assert ended["result"]["structuredContent"]["error"]["type"] == "deadline_exceeded"
    (name,) = world.kubernetes.names(RUNS)
    assert world.kubernetes.object(RUNS, name)["spec"]["cancel"] is True


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ("nonsense", 400, -32600),
        ([request("ping")], 400, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}, 400, -32600),
        (request("nothing"), 200, -32601),
        (request("tools/call", {"name": "nothing"}), 200, -32602),
    ],
)
async def test_malformed_messages_are_refused(world: World, message: Any, status: int, code: int) -> None:
    replica = world.replicas[0]
    session = await replica.begin("2025-06-18")
    answer = await replica.post(message, session)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("version", ["1900-01-01", "2027-01-01"])
async def test_unknown_versions_are_refused(world: World, version: str) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": "tools/list"}
    answer = await world.replicas[0].post(request("tools/list", {"_meta": meta}), **headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["data"] == {"supported": ["2026-07-28"], "requested": version}


async def test_a_task_is_its_run_at_every_replica(world: World) -> None:
    first, second, third = world.replicas
    extension = "io.modelcontextprotocol/tasks"

    async def call(replica: Replica, method: str, params: Json, key: str = KEY, **capabilities: Any) -> Json:
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        }
        name = params.get("name") or params.get("taskId") or ""
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name}
        message = request(method, params | {"_meta": meta})
        answer = await replica.post(message, Authorization=f"Bearer {key}", **headers)
        found: Json = answer.json()
        return found

    able: Json = {"extensions": {extension: {}}}
    found = (await call(first, "server/discover", {}))["result"]
    assert found["capabilities"]["extensions"] == {extension: {}}
    asked = {"name": "ask_agent", "arguments": {"task": "hi"}}
    task = (await call(first, "tools/call", asked, **able))["result"]
    assert (task["resultType"], task["status"]) == ("task", "working")
    named = {"taskId": task["taskId"]}
    assert not world.kubernetes.object(RUNS, task["taskId"])["spec"]["cancel"]
    assert (await call(second, "tasks/get", named, **able))["result"]["status"] == "working"
    assert (await call(second, "tasks/get", named))["error"]["code"] == -32021
    assert (await call(second, "tasks/get", named, key="sk-alice", **able))["error"]["code"] == -32602
    assert (await call(second, "tasks/update", named | {"inputResponses": {}}, **able))["result"][
        "resultType"
    ] == "complete"
    assert (await call(second, "tasks/result", named, **able))["error"]["code"] == -32601
    await (await world.pod(third)).answer("Hello")
    ended = (await call(third, "tasks/get", named, **able))["result"]
    assert (ended["status"], ended["result"]["structuredContent"]["text"]) == ("completed", "Hello")

    other = {"taskId": (await call(second, "tools/call", asked, **able))["result"]["taskId"]}
    assert (await call(third, "tasks/cancel", other, **able))["result"]["resultType"] == "complete"
    run = world.kubernetes.object(RUNS, other["taskId"])
    assert run["spec"]["cancel"] is True
    world.kubernetes.put({**run, "status": {"phase": "Cancelled"}})
    assert (await call(first, "tasks/get", other, **able))["result"]["status"] == "cancelled"
    assert (await call(first, "tasks/cancel", {"taskId": "demo-nothing"}, **able))["error"]["code"] == -32602
