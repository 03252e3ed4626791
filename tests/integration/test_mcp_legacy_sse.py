"""The MCP transport of 2024-11-05, whose stream one web-proxy holds and whose messages come to any."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.integration.conftest import KEY, eventually
from tests.integration.mcp_replicas import (
    AUTH,
    Json,
    Replica,
    World,
    ask,
    request,
    three_replicas,
)

from sympozium_api.resources import RUNS


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with three_replicas(tmp_path) as world:
        yield world


class Legacy:
    """A client of the oldest transport, by hand: its messages go to whichever replica a test names."""

    def __init__(self, stream: httpx2.Response) -> None:
        self._lines = stream.aiter_lines()

    async def event(self) -> tuple[str, str]:
        async with asyncio.timeout(60):
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


async def test_a_request_whose_id_is_in_progress_is_refused(world: World) -> None:
    first, second, _ = world.replicas
    async with first.http.stream("GET", "/sse", headers=AUTH) as stream:
        client = Legacy(stream)
        _, address = await client.event()
        params = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        await first.http.post(address, json=request("initialize", params), headers=AUTH)
        await client.message()
        assert (await first.http.post(address, json=ask(2), headers=AUTH)).status_code == 202
        for replica in (first, second):
            refused = await replica.http.post(address, json=request("ping", id_=2), headers=AUTH)
            assert (refused.status_code, refused.json()["error"]["code"], refused.json()["id"]) == (400, -32600, 2)
        await (await world.pod(first)).answer("Hello")
        assert (await client.message())["id"] == 2
        assert (await first.http.post(address, json=request("ping", id_=2), headers=AUTH)).status_code == 202


async def test_only_a_replica_may_forward_messages(world: World) -> None:
    first, second, _ = world.replicas
    async with first.http.stream("GET", "/sse", headers=AUTH) as stream:
        _, address = await Legacy(stream).event()
        for replica in (first, second):
            answer = await replica.http.post(address, json=request("ping"), headers={"x-sympozium-passed-on": "forged"})
            assert answer.status_code == 404
        answer = await first.http.post("/message?sessionId=e30.e30", json=request("ping"), headers=AUTH)
        assert answer.status_code == 404


async def test_a_terminating_replica_closes_silent_streams(world: World) -> None:
    replica = world.replicas[0]
    object.__setattr__(replica.context.settings, "keep_alive_seconds", 0.05)
    async with replica.http.stream("GET", "/sse", headers=AUTH) as stream:
        pieces = stream.aiter_text()
        assert "endpoint" in await anext(pieces)
        replica.context.draining = True
        async with asyncio.timeout(60):
            assert "endpoint" not in "".join([piece async for piece in pieces])


async def test_a_stream_whose_client_reads_nothing_ends_and_cancels_its_calls(world: World) -> None:
    replica = world.replicas[0]
    budget, end = replica.context.budget, "x" * 300_000
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that little waits in the kernel
        client.settimeout(0)
        await asyncio.get_running_loop().sock_connect(client, (replica.http.base_url.host, replica.http.base_url.port))
        reader, writer = await asyncio.open_connection(sock=client, limit=2048)
        writer.write(f"GET /sse HTTP/1.1\r\nhost: x\r\nauthorization: {AUTH['Authorization']}\r\n\r\n".encode())
        await reader.readuntil(b"data: ")
        address = (await reader.readline()).decode().strip()
        writer.transport.pause_reading()  # type: ignore[attr-defined]

        async def send(message: Json) -> int:
            return (await replica.http.post(address, json=message, headers=AUTH)).status_code

        params = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        assert await send(request("initialize", params, id_="begin")) == 202
        assert await send(ask("ended")) == 202
        pod = await world.pod(replica)
        await pod.answer(end)
        assert await send(ask("open")) == 202
        run = (await world.pod(replica, among=2)).run
        statuses, held = [202], 0
        while statuses[-1] == 202 and len(statuses) < 60:
            read = request("resources/read", {"uri": f"sympozium://runs/{pod.run}"}, id_=len(statuses))
            statuses.append(await send(read))
            held = max(held, budget.used)
        assert statuses[-1] == 404, "the stream has ended"
        assert 4 * 1024 * 1024 < held < 7 * 1024 * 1024
        await eventually(lambda: world.kubernetes.object(RUNS, run)["spec"].get("cancel") is True)
        await eventually(lambda: budget.used < 1024 * 1024)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(60):
            received = b""
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received = received[-16:] + await reader.read(65536)
        writer.transport.abort()
    await eventually(lambda: budget.used == 0)
