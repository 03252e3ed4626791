"""Cost of MCP to one web-proxy without a cluster: stateless tool calls per second, and its memory over many sessions.

Runs end as soon as they are made, so that nothing but the web-proxy is measured.
"""

import asyncio
import multiprocessing
import multiprocessing.connection
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import structlog
import uvloop
from tests.bench.report import Figures
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.conftest import KEY, assembled, instance, session_key

from sympozium_api.client import ResourceType
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_webproxy.settings import WebProxySettings

CALLS, AT_ONCE, SESSIONS = 4000, 16, 10_000
HEADERS = {"Authorization": f"Bearer {KEY}", "Accept": "application/json, text/event-stream"}


class NoOp(FakeKubernetes):
    """Runs end as soon as they have been made, and are not kept."""

    ended: Callable[[AgentRun], None]

    async def create(
        self,
        kind: ResourceType,  # noqa: ARG002
        namespace: str,
        body: Object,
        *,
        strict: bool = False,  # noqa: ARG002
        dry_run: bool = False,  # noqa: ARG002
        metadata_only: bool = False,  # noqa: ARG002
    ) -> Object:
        made = {"name": body["metadata"]["name"], "namespace": namespace, "uid": "u", "annotations": {}}
        status = {"phase": "Succeeded", "result": "Hello", "finishReason": "stop"}
        run = {**body, "metadata": {**body["metadata"], **made}}
        asyncio.get_running_loop().call_soon(self.ended, AgentRun.model_validate(run | {"status": status}))
        return run


async def serve(told: "multiprocessing.connection.Connection[Any, Any]") -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as keys:
        (Path(keys) / "api-key").write_text(KEY)
        kubernetes = NoOp()
        kubernetes.documents["/version"] = {}
        kubernetes.put(instance(webEndpoint={"rateLimit": {"requestsPerMinute": 1_000_000, "burstSize": 1_000_000}}))
        settings = WebProxySettings(
            "default", "demo", "127.0.0.1", api_keys=Path(keys), session_key=session_key(Path(keys))
        )
        async with assembled(kubernetes, settings, FakeClock()) as (context, url, *_):
            kubernetes.ended = context.runs.on_change
            told.send(url)
            await asyncio.Event().wait()


def run(told: "multiprocessing.connection.Connection[Any, Any]") -> None:
    uvloop.run(serve(told))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


async def many(http: aiohttp.ClientSession, url: str, count: int, body: Object, headers: dict[str, str]) -> None:
    waiting = iter(range(count))

    async def worker() -> None:
        for _ in waiting:
            async with http.post(f"{url}/mcp", json=body, headers={**HEADERS, **headers}) as answer:
                assert answer.status == 200, await answer.text()
                assert "error" not in await answer.json()

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def measure() -> Figures:
    """Figures of a web-proxy in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=run, args=(there,))
    process.start()
    try:
        assert process.pid is not None
        return await _asked(await asyncio.to_thread(here.recv), process.pid)
    finally:
        process.terminate()


async def _asked(url: str, pid: int) -> Figures:
    version = "2026-07-28"
    meta = {"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"name": "ask_agent", "arguments": {"task": "hi"}, "_meta": meta}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    about = {"MCP-Protocol-Version": version, "Mcp-Method": "tools/call", "Mcp-Name": "ask_agent"}
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    async with aiohttp.ClientSession() as http:
        await many(http, url, 200, call, about)
        began, used = time.monotonic(), cpu_seconds(pid)
        await many(http, url, CALLS, call, about)
        elapsed, used = time.monotonic() - began, cpu_seconds(pid) - used
        await many(http, url, 1000, begin, {})
        before = megabytes(pid)
        await many(http, url, SESSIONS, begin, {})
        return {
            "mcp_calls": CALLS,
            "mcp_calls_per_second": round(CALLS / elapsed),
            "mcp_calls_per_cpu_second": round(CALLS / used),
            "mcp_memory_mb": {"1000 sessions": round(before, 1), f"{SESSIONS} more": round(megabytes(pid), 1)},
        }
