"""The MCP routes through the official client, in every era."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from tests.fakes.agents import Agents
from tests.integration.conftest import KEY, Proxy


@asynccontextmanager
async def connected(url: str, key: str = KEY, **options: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, **options) as client:
            yield client


async def test_newest(proxy: Proxy, agents: Agents) -> None:
    async with connected(proxy.url) as client:
        print(await client.list_tools())
        print(await client.call_tool("ask_agent", {"task": "hello"}))
