"""Messages over MCP that wait for a client that does not read them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sympozium_http.byte_budget import ByteBudget
from sympozium_webproxy.protocol.mcp import jsonrpc
from sympozium_webproxy.protocol.mcp.jsonrpc import JsonRpcResponse
from sympozium_webproxy.routes.mcp.dispatch import Sink
from sympozium_webproxy.routes.mcp.mcp_response import McpResponse, Work
from sympozium_webproxy.routes.mcp.message import Accepted

MEBIBYTE = 1024 * 1024
TEXT = "x" * 1000
END = jsonrpc.result(1, {"text": "the whole answer"})


class SlowClient:
    """An ASGI server whose client reads nothing until ``reads`` is set, and disconnects when ``leaves`` is."""

    def __init__(self) -> None:
        self.reads, self.leaves = asyncio.Event(), asyncio.Event()
        self.body = bytearray()

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.body += message.get("body", b"")


def work(messages: int, is_done: asyncio.Event) -> Work:
    async def report(sink: Sink) -> JsonRpcResponse:
        for number in range(messages):
            sink(jsonrpc.progress_message("t", number, TEXT), None)
            if number % 100 == 0:
                await asyncio.sleep(0)
        is_done.set()
        return JsonRpcResponse(END)

    return report


def response(work: Work, budget: ByteBudget, close: Callable[[], None] = lambda: None) -> McpResponse:
    return McpResponse(work, close, Accepted(json=True, stream=True), keep_alive_seconds=10, budget=budget)


async def test_progress_beyond_4_mib_is_dropped_and_the_answer_follows() -> None:
    budget, client, is_done = ByteBudget(), SlowClient(), asyncio.Event()
    answering = asyncio.create_task(response(work(10_000, is_done), budget)({}, client.receive, client.send))
    await is_done.wait()
    await asyncio.sleep(0)
    assert 4 * MEBIBYTE < budget.used < 5 * MEBIBYTE
    client.reads.set()
    await answering
    assert budget.used == 0
    frames = client.body.decode().split("\n\n")
    assert "the whole answer" in frames[-2]
    sent = len(frames) - 2
    assert sent < 5000
    assert [f'"progress":{number},' in frame for number, frame in enumerate(frames[:-2])] == [True] * sent, "no gap"


async def test_after_dropped_progress_only_the_answer_comes() -> None:
    budget, client, is_full, is_read = ByteBudget(), SlowClient(), asyncio.Event(), asyncio.Event()

    async def resuming(sink: Sink) -> JsonRpcResponse:
        await work(10_000, is_full)(sink)
        await is_read.wait()
        sink(jsonrpc.progress_message("t", 10_000, "after the gap"), None)
        return JsonRpcResponse(END)

    answering = asyncio.create_task(response(resuming, budget)({}, client.receive, client.send))
    await is_full.wait()
    client.reads.set()
    while budget.used:
        await asyncio.sleep(0)
    is_read.set()
    await answering
    assert b"after the gap" not in client.body
    assert b"the whole answer" in client.body


@pytest.mark.parametrize("messages", [10, 10_000])
async def test_a_disconnect_releases_what_waits(messages: int) -> None:
    budget, client, is_done = ByteBudget(), SlowClient(), asyncio.Event()
    answering = asyncio.create_task(response(work(messages, is_done), budget)({}, client.receive, client.send))
    await is_done.wait()
    client.leaves.set()
    await answering
    assert budget.used == 0
