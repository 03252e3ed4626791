"""The official MCP client in each era, for the tests without a cluster and those on one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

ERAS = ("2024-11-05 over HTTP+SSE", "2025-11-25", "2026-07-28")
"""The transport with sessions that are streams, the one with sessions, the one without."""


def _http(
    headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: Any = None
) -> httpx2.AsyncClient:
    """Every request has a connection of its own, so that each may come to another replica."""
    alone = httpx2.Limits(max_keepalive_connections=0)
    return httpx2.AsyncClient(headers=headers, timeout=timeout or 240, auth=auth, limits=alone)


@asynccontextmanager
async def connected(url: str, key: str, era: str = "2026-07-28", **options: Any) -> AsyncIterator[Client]:
    """A client that has begun; ``url`` is the web-proxy's."""
    headers = {"Authorization": f"Bearer {key}"}
    if era.startswith("2024"):
        async with Client(
            sse_client(f"{url}/sse", headers, httpx_client_factory=_http), mode="legacy", **options
        ) as client:
            yield client
        return
    mode = "auto" if era == "2026-07-28" else "legacy"
    async with _http(headers) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode=mode, **options) as client:
            assert client.session.protocol_version == era
            yield client
