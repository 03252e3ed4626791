"""The web-proxy with the suite's own tools, on a real socket; the suite sends no key, so one is put before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.conformance.fixtures import fixture_server
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.conftest import KEY, assembled, eventually, instance, listening, session_key

from sympozium_webproxy.app import create_app
from sympozium_webproxy.settings import WebProxySettings


def with_key(app: ASGIApp) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        MutableHeaders(scope=scope)["authorization"] = f"Bearer {KEY}"
        await app(scope, receive, send)

    return call


@pytest.fixture
async def fixture_url(tmp_path: Path) -> AsyncIterator[str]:
    (tmp_path / "api-key").write_text(KEY)
    kubernetes = FakeKubernetes()
    kubernetes.put(instance())
    settings = WebProxySettings("default", "demo", "127.0.0.1", api_keys=tmp_path, session_key=session_key(tmp_path))
    async with assembled(kubernetes, settings, FakeClock()) as (context, *_):
        server = fixture_server()
        async with listening(with_key(create_app(context, mcp=lambda: server))) as url:
            host = url.removeprefix("http://")
            limit = {"requestsPerMinute": 60_000, "burstSize": 1000}
            kubernetes.put(instance(webEndpoint={"rateLimit": limit, "allowedHosts": [host], "allowedOrigins": [url]}))
            await eventually(lambda: context.instance_cache.rate_limit.burst_size == 1000)
            yield f"{url}/mcp"
