"""A web-proxy counts at least the bytes that a body takes while its run is created."""

import asyncio
import gc
import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.conftest import KEY, assembled, instance
from tests.integration.warm_cluster import holding

from sympozium_api.resources import RUNS
from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.settings import WebProxySettings

HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
SLACK = 60_000
"""Bytes that a request takes whatever its body: its task, its connection, its log fields."""
TEXTS = {
    "ascii": "a" * 200_000,
    "one letter beyond ASCII": "é" + "a" * 200_000,
    "one letter beyond Latin-1": "語" + "a" * 200_000,
    "one emoji": "\U0001f600" + "a" * 200_000,
    "emoji alone": "\U0001f600" * 50_000,
    "quotes": '"\\' * 50_000,
}


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[tuple[FakeKubernetes, WebProxyContext, httpx2.AsyncClient]]:
    (tmp_path / "api-key").write_text(KEY)
    kubernetes = FakeKubernetes()
    kubernetes.put(instance())
    settings = WebProxySettings("default", "demo", "127.0.0.1", api_keys=tmp_path, max_body_bytes=1024 * 1024)
    async with assembled(kubernetes, settings, FakeClock()) as (context, _, _, http):
        yield kubernetes, context, http


def bodies(path: str) -> dict[str, bytes]:
    """Bodies of this route: texts as they are, and one escaped, and objects with many members."""
    field = {"/v1/chat/completions": "messages", "/v1/responses": "input"}[path]
    made = {
        name: json.dumps({field: [{"role": "user", "content": text}]}, ensure_ascii=False).encode()
        for name, text in TEXTS.items()
    }
    made["one escaped emoji"] = json.dumps({field: [{"role": "user", "content": TEXTS["one emoji"]}]}).encode()
    members = {f"{number:x}": 0 for number in range(10_000)}
    function: dict[str, Any] = {"name": "f", "parameters": {"properties": members}}
    tool = {"type": "function"} | ({"function": function} if field == "messages" else function)
    question = {field: [{"role": "user", "content": "hello"}]}
    return made | {"members": json.dumps(question | {"tools": [tool]}, separators=(",", ":")).encode()}


CASES = [(path, name) for path in ("/v1/chat/completions", "/v1/responses") for name in bodies(path)]


@pytest.mark.parametrize(("path", "name"), CASES)
async def test_a_body_is_counted_as_the_memory_that_it_takes(
    replica: tuple[FakeKubernetes, WebProxyContext, httpx2.AsyncClient], path: str, name: str
) -> None:
    kubernetes, context, http = replica
    content = bodies(path)[name]
    assert (await http.post(path, content=b"{}", headers=HEADERS)).status_code == 400  # what is made once is there
    gc.collect()
    tracemalloc.start()
    try:
        async with holding(kubernetes, "create", RUNS) as held:
            asking = asyncio.create_task(http.post(path, content=content, headers=HEADERS))
            await held.comes()
            gc.collect()
            taken, _ = tracemalloc.get_traced_memory()
            counted = context.budget.used
            asking.cancel()
    finally:
        tracemalloc.stop()
    assert taken < counted + SLACK, f"of {len(content)} bytes"
    assert counted < 3 * taken, "requests are not refused for memory that is free"
