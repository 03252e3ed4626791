"""Requests whose form differs from client to client and proxy to proxy: slashes, HEAD, offers, forwarded headers."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.integration.conftest import KEY, Proxy

from sympozium_http import forwarded

AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
BODY = {"messages": [{"role": "user", "content": "hello"}]}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
GATEWAY = {"Host": "a.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/assistant/"}


class TestSlashes:
    @pytest.mark.parametrize("path", ["/v1/chat/completions/", "//v1/chat/completions", "/v1//chat/completions//"])
    @pytest.mark.usefixtures("agents")
    async def test_a_chat_is_answered_without_a_redirect(self, proxy: Proxy, path: str) -> None:
        answer = await proxy.http.post(f"{proxy.url}{path}", json=BODY, headers=AUTHORIZED | GATEWAY)
        assert (answer.status_code, answer.json()["choices"][0]["message"]["role"]) == (200, "assistant")

    @pytest.mark.parametrize("path", ["/mcp/", "//mcp", "//mcp//"])
    async def test_mcp_is_answered_without_a_redirect(self, proxy: Proxy, path: str) -> None:
        answer = await proxy.http.post(f"{proxy.url}{path}", json=INITIALIZE, headers=AUTHORIZED | GATEWAY)
        assert answer.status_code == 200
        assert answer.headers["mcp-session-id"]

    @pytest.mark.parametrize("path", ["//mcp", "/mcp//", "//sse", "/message/"])
    async def test_the_check_of_origins_sees_through_slashes(self, proxy: Proxy, path: str) -> None:
        answer = await proxy.http.post(
            f"{proxy.url}{path}", json={}, headers=AUTHORIZED | {"Origin": "https://evil.example.com"}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")

    async def test_gets_and_unknown_paths(self, proxy: Proxy) -> None:
        assert (await proxy.http.get("/v1/models/", headers=AUTHORIZED)).json()["object"] == "list"
        assert (await proxy.http.get("/readyz/")).status_code == 200
        assert (await proxy.http.get("/v1/nothing/", headers=AUTHORIZED)).status_code == 404


class TestHead:
    @pytest.mark.parametrize("path", ["/v1/models", "/healthz", "/readyz", "/openapi.json", "/v1/models/"])
    async def test_is_answered_where_get_is(self, proxy: Proxy, path: str) -> None:
        get, head = [await proxy.http.request(method, path, headers=AUTHORIZED) for method in ("GET", "HEAD")]
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers["content-length"] == get.headers["content-length"]

    async def test_needs_the_key_that_get_needs(self, proxy: Proxy) -> None:
        head = await proxy.http.head("/v1/models")
        assert (head.status_code, head.content) == (401, b"")

    async def test_a_stream_ends_with_its_headers(self, proxy: Proxy) -> None:
        async with asyncio.timeout(60):
            head = await proxy.http.head("/sse", headers=AUTHORIZED | {"Accept": "text/event-stream"})
        assert (head.status_code, head.headers["content-type"][:17]) == (200, "text/event-stream")

    async def test_is_refused_where_only_post_is(self, proxy: Proxy) -> None:
        assert (await proxy.http.head("/v1/chat/completions", headers=AUTHORIZED)).status_code == 405

    async def test_is_counted_by_its_route(self, proxy: Proxy) -> None:
        await proxy.http.head("/v1/models", headers=AUTHORIZED)
        labels = {"route": "/v1/models", "status": "200"}
        registry = proxy.context.metrics.registry
        assert registry.get_sample_value("sympozium_http_requests_total", labels) == 1


class TestForwarded:
    async def endpoint(self, proxy: Proxy) -> str:
        """The address for messages in the first event of a stream."""
        headers = AUTHORIZED | GATEWAY | {"Accept": "text/event-stream"}
        async with proxy.http.stream("GET", "/sse", headers=headers) as stream, asyncio.timeout(60):
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    return line.removeprefix("data: ").partition("?")[0]
        raise AssertionError("no event")

    async def test_a_prefix_that_the_gateway_removed_is_put_before_addresses(self, proxy: Proxy) -> None:
        assert await self.endpoint(proxy) == "/assistant/message"

    @pytest.mark.parametrize("trusted", ["none", "10.0.0.0/8, fd00::/8"])
    async def test_headers_of_others_count_for_nothing(self, proxy: Proxy, trusted: str) -> None:
        proxy.context.settings = replace(proxy.context.settings, trusted_proxies=forwarded.networks(trusted))
        assert await self.endpoint(proxy) == "/message"

    @pytest.mark.parametrize("prefix", ["//evil.example.com", "/a\tb", "a", "/a?b", "https://evil.example.com"])
    async def test_a_prefix_that_is_no_path_counts_for_nothing(self, proxy: Proxy, prefix: str) -> None:
        headers = AUTHORIZED | {"Accept": "text/event-stream", "X-Forwarded-Prefix": prefix}
        async with proxy.http.stream("GET", "/sse", headers=headers) as stream, asyncio.timeout(60):
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: endpoint"
            assert (await anext(lines)).startswith("data: /message?")
