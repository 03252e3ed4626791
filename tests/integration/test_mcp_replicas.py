"""MCP sessions, streams and tasks at several web-proxies, none of which a client is bound to."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer, created_run, delta, done
from tests.integration.conftest import KEY, assembled, eventually, instance

from sympozium_api.resources import RUNS
from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.settings import WebProxySettings

Json = dict[str, Any]
AUTH = {"Authorization": f"Bearer {KEY}"}
BOTH = {"Accept": "application/json, text/event-stream"}
VERSIONS = ("2025-03-26", "2025-06-18", "2025-11-25")


@dataclass
class Replica:
    """One web-proxy, at an address of its own."""

    context: WebProxyContext
    http: httpx2.AsyncClient
    surface: str
    stack: AsyncExitStack

    async def post(self, message: Any, session: str | None = None, **headers: str) -> httpx2.Response:
        named = {"Mcp-Session-Id": session} if session else {}
        return await self.http.post("/mcp", json=message, headers={**AUTH, **BOTH, **named, **headers})

    async def begin(self, version: str = "2025-11-25") -> str:
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        answer = await self.post(request("initialize", params, id_="begin"))
        assert answer.json()["result"]["protocolVersion"] == version
        return answer.headers["mcp-session-id"]


@dataclass
class World:
    """Three replicas of one endpoint."""

    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    keys: Path
    clock: FakeClock
    replicas: list[Replica]

    async def pod(self, at: Replica, *, among: int = 1) -> FakePod:
        return FakePod(await created_run(self.kubernetes, among=among), self.issuer, at.surface)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "api-key").write_text(KEY)
    (tmp_path / "api-key-alice").write_text("sk-alice")
    kubernetes, clock = FakeKubernetes(), FakeClock()
    kubernetes.put(instance())
    found = World(kubernetes, TokenIssuer(kubernetes), tmp_path, clock, [])
    async with AsyncExitStack() as stack:
        for _ in range(3):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            settings = WebProxySettings("default", "demo", "127.0.0.1", api_keys=tmp_path, http_port=port)
            own = await stack.enter_async_context(AsyncExitStack())
            made = assembled(kubernetes, settings, clock, port=port)
            context, _, surface, http = await own.enter_async_context(made)
            found.replicas.append(Replica(context, http, surface, own))
        yield found


def request(method: str, params: Json | None = None, id_: str | int = 1) -> Json:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params or {}}


def ask(id_: str | int = 1, **about: Any) -> Json:
    return request("tools/call", {"name": "ask_agent", "arguments": {"task": "hi"}} | about, id_)


def events(text: str) -> list[tuple[str | None, Json | None]]:
    """The events of a stream: id and message."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.partition(":")[::2] for line in block.splitlines() if not line.startswith(":"))
        data = fields.get("data", "").strip()
        found.append((fields.get("id", "").strip() or None, json.loads(data) if data else None))
    return found


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_goes_on_at_any_replica(world: World, version: str) -> None:
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


async def test_a_batch_is_answered_whole_in_the_version_that_has_them(world: World) -> None:
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
async def test_what_is_no_batch_is_refused(world: World, version: str, batch: list[Any]) -> None:
    session = await world.replicas[0].begin(version)
    refused = await world.replicas[1].post(batch, session)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"]


async def test_a_session_is_good_for_its_own_key_only(world: World) -> None:
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


async def test_a_cancel_finds_the_call_of_another_replica(world: World) -> None:
    first, second, third = world.replicas
    session = await first.begin()
    calling = asyncio.create_task(second.post(ask("7"), session))
    run = (await world.pod(second)).run
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "7"}}
    other_session = await third.begin()
    assert (await third.post(cancel, other_session)).status_code == 202
    assert "cancel" not in world.kubernetes.object(RUNS, run)["spec"]
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


async def test_a_broken_stream_is_resumed_where_it_broke_off(world: World) -> None:
    first, second, third = world.replicas
    session = await first.begin()
    go_on = asyncio.Event()
    asked = ask(5, _meta={"progressToken": "p"})
    async with first.http.stream(
        "POST", "/mcp", json=asked, headers={**AUTH, **BOTH, "Mcp-Session-Id": session}
    ) as stream:
        pod = await world.pod(first)
        speaking = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), go_on, delta("lo"), done("Hello")))
        text = ""
        async for piece in stream.aiter_text():
            text += piece
            if "notifications/progress" in text:
                break
    (primed, _), (place, told) = events(text)
    assert primed
    assert place
    assert told is not None
    assert told["params"] == {"progressToken": "p", "progress": 3, "message": "Hel"}
    assert "cancel" not in world.kubernetes.object(RUNS, pod.run)["spec"], "a broken connection cancels nothing"

    async def resumed(replica: Replica, after: str, began: asyncio.Event) -> list[Json]:
        headers = {**AUTH, "Accept": "text/event-stream", "Mcp-Session-Id": session, "Last-Event-ID": after}
        text = ""
        async with replica.http.stream("GET", "/mcp", headers=headers) as stream:
            async for piece in stream.aiter_text():
                text += piece
                began.set()
        return [message for _, message in events(text) if message]

    began = [asyncio.Event(), asyncio.Event()]
    here = asyncio.create_task(resumed(first, place, began[0]))
    elsewhere = asyncio.create_task(resumed(second, place, began[1]))
    for event in began:
        await event.wait()
    go_on.set()
    await speaking
    assert [message.get("params", {}).get("message") for message in await here] == ["lo", None]
    for messages in (
        await here,
        await elsewhere,
        await resumed(third, place, began[0]),
        await resumed(third, primed, began[0]),
    ):
        assert messages[-1]["id"] == 5
        assert messages[-1]["result"]["structuredContent"]["text"] == "Hello"


async def test_what_cannot_be_resumed_is_refused(world: World) -> None:
    replica = world.replicas[0]
    session = await replica.begin()

    async def get(**headers: str) -> int:
        return (await replica.http.get("/mcp", headers={**AUTH, "Accept": "text/event-stream", **headers})).status_code

    named = {"Mcp-Session-Id": session}
    assert await get(**named) == 405
    assert await get(**named, **{"Last-Event-ID": "nonsense"}) == 405
    assert await get(**named, **{"Last-Event-ID": "WzEsbnVsbCwwXQ"}) == 404
    assert await get(**named, Accept="application/json") == 406
    assert await get(**{"MCP-Protocol-Version": "2026-07-28"}) == 405
    assert await get() == 400
    assert (await replica.http.delete("/mcp", headers={**AUTH, **named})).status_code == 405
    assert (await replica.http.get("/mcp")).status_code == 401


async def test_a_request_id_means_one_call(world: World) -> None:
    replica = world.replicas[0]
    session = await replica.begin()
    first = asyncio.create_task(replica.post(ask(1), session))
    pod = await world.pod(replica)
    again = asyncio.create_task(world.replicas[1].post(ask(1), session))
    await pod.answer("Hello")
    assert "Hello" in (await first).text
    assert "Hello" in (await again).text
    assert len(world.kubernetes.names(RUNS)) == 1
    in_another_session = asyncio.create_task(replica.post(ask(1), await replica.begin()))
    await (await world.pod(replica, among=2)).answer("Good day")
    assert "Good day" in (await in_another_session).text
    other = ask(1, arguments={"task": "something else"})
    assert (await replica.post(other, session)).json()["result"]["isError"]


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


class Legacy:
    """A client of the oldest transport, by hand: its messages go to whichever replica a test names."""

    def __init__(self, stream: httpx2.Response) -> None:
        self._lines = stream.aiter_lines()

    async def event(self) -> tuple[str, str]:
        async with asyncio.timeout(5):
            kind = ""
            async for line in self._lines:
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                if line.startswith("data: "):
                    return kind, line.removeprefix("data: ")
        raise AssertionError("the stream has ended")

    async def message(self) -> Json:
        kind, data = await self.event()
        assert kind == "message"
        return json.loads(data)  # type: ignore[no-any-return]


async def test_a_stream_gets_the_answers_to_messages_at_any_replica(world: World) -> None:
    first, second, third = world.replicas
    async with second.http.stream("GET", "/sse", headers=AUTH) as stream:
        client = Legacy(stream)
        kind, address = await client.event()
        assert kind == "endpoint"

        async def send(replica: Replica, message: Json, key: str = KEY) -> int:
            answer = await replica.http.post(address, json=message, headers={"Authorization": f"Bearer {key}"})
            return answer.status_code

        params = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        assert await send(first, request("tools/list", id_=0)) == 202
        assert (await client.message())["error"]["code"] == -32600, "not begun"
        assert await send(first, request("initialize", params, id_="begin")) == 202
        assert (await client.message())["result"]["protocolVersion"] == "2024-11-05"
        assert await send(third, {"jsonrpc": "2.0", "method": "notifications/initialized"}) == 202
        assert await send(third, ask(9)) == 202
        pod = await world.pod(second)
        await pod.answer("Hello")
        answer = await client.message()
        assert (answer["id"], answer["result"]["content"][0]["text"]) == (9, "Hello")
        for replica in world.replicas:
            assert await send(replica, request("ping"), "sk-alice") == 404
            assert await send(replica, request("ping"), "sk-x") == 401

        assert await send(first, ask(10)) == 202
        run = (await world.pod(second, among=2)).run
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 10}}
        assert await send(third, cancel) == 202
        await eventually(lambda: world.kubernetes.object(RUNS, run)["spec"].get("cancel") is True)
        assert await send(third, ask(11)) == 202
        run = (await world.pod(second, among=3)).run
    await eventually(lambda: world.kubernetes.object(RUNS, run)["spec"].get("cancel") is True)
    for replica in world.replicas:
        assert await send(replica, request("ping")) == 404, "its client has left"


async def test_messages_for_a_replica_that_is_gone_are_refused(world: World) -> None:
    first, second, _ = world.replicas
    async with first.http.stream("GET", "/sse", headers=AUTH) as stream:
        _, address = await Legacy(stream).event()
    await first.stack.aclose()
    answer = await second.http.post(address, json=request("ping"), headers=AUTH)
    assert answer.status_code == 404


async def test_nobody_passes_messages_on_but_a_replica(world: World) -> None:
    first, second, _ = world.replicas
    async with first.http.stream("GET", "/sse", headers=AUTH) as stream:
        _, address = await Legacy(stream).event()
        for replica in (first, second):
            answer = await replica.http.post(address, json=request("ping"), headers={"x-sympozium-passed-on": "forged"})
            assert answer.status_code == 404
        answer = await first.http.post("/message?sessionId=e30.e30", json=request("ping"), headers=AUTH)
        assert answer.status_code == 404


async def test_a_replica_that_is_to_end_closes_silent_streams(world: World) -> None:
    replica = world.replicas[0]
    object.__setattr__(replica.context.settings, "keep_alive_seconds", 0.05)
    async with replica.http.stream("GET", "/sse", headers=AUTH) as stream:
        pieces = stream.aiter_text()
        assert "endpoint" in await anext(pieces)
        replica.context.draining = True
        async with asyncio.timeout(5):
            assert "endpoint" not in "".join([piece async for piece in pieces])


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
    assert "cancel" not in world.kubernetes.object(RUNS, task["taskId"])["spec"]
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
