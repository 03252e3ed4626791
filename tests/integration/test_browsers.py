"""Requests of web pages: the check of Origin and Host over MCP, and CORS."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.conftest import KEY, Proxy, eventually, instance

CHAT_UI = "https://chat.example.com"
OWN = "https://assistant.example.com"
MCP = ("/mcp", "/sse", "/message", "/mcp/")
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def configure(proxy: Proxy) -> Callable[..., Any]:
    """Changes the instance's web endpoint; its own URL is OWN."""

    async def change(**web_endpoint: Any) -> None:
        limit = {"requestsPerMinute": 6000, "burstSize": 100}
        status = {"webEndpoint": {"enabled": True, "url": OWN}}
        put = proxy.kubernetes.put(instance(webEndpoint={"rateLimit": limit} | web_endpoint) | {"status": status})
        await eventually(lambda: _version(proxy) == put["metadata"]["resourceVersion"])

    return change


def _version(proxy: Proxy) -> str:
    found = proxy.context.instance_cache.instance
    return found.metadata.resource_version if found else ""


async def _post(proxy: Proxy, path: str, **headers: str) -> tuple[int, str]:
    answer = await proxy.http.post(path, json={}, headers=AUTHORIZED | headers)
    error = answer.json().get("error", {}) if answer.content else {}
    return answer.status_code, error.get("code", "") if isinstance(error, dict) else ""


class TestOrigin:
    @pytest.mark.parametrize("path", MCP)
    async def test_pages_of_foreign_origins_do_not_reach_mcp(self, proxy: Proxy, configure: Any, path: str) -> None:
        await configure(allowedOrigins=[CHAT_UI])
        for origin in ("https://evil.example.com", "null", "", f"{CHAT_UI}:8443", "http://chat.example.com", proxy.url):
            assert await _post(proxy, path, Origin=origin) == (403, "origin_not_allowed")
        for origin in (CHAT_UI, OWN):
            assert (await _post(proxy, path, Origin=origin))[1] != "origin_not_allowed"
        assert (await _post(proxy, path))[1] != "origin_not_allowed"

    async def test_a_page_that_rebinds_its_name_has_a_foreign_origin(self, proxy: Proxy, configure: Any) -> None:
        """Its origin and Host are the same, for its name leads here; nothing that a request says of itself makes it ours."""
        await configure()
        headers = {"Origin": "http://evil.example.com:8080", "Host": "evil.example.com:8080"}
        assert await _post(proxy, "/mcp", **headers) == (403, "origin_not_allowed")

    async def test_openais_routes_check_no_origin(self, proxy: Proxy, configure: Any) -> None:
        await configure()
        answer = await proxy.http.get("/v1/models", headers=AUTHORIZED | {"Origin": "https://evil.example.com"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers

    async def test_a_path_that_only_begins_like_mcps_checks_no_origin(self, proxy: Proxy, configure: Any) -> None:
        await configure()
        assert (await _post(proxy, "/mcpx", Origin="https://evil.example.com"))[0] == 404

    async def test_apps_are_allowed_by_origin_or_by_scheme(self, proxy: Proxy, configure: Any) -> None:
        apps = (
            "app://obsidian.md",
            "tauri://localhost",
            "chrome-extension://abcdefghijklmnop",
            "vscode-webview://1a2b",
        )
        await configure()
        for origin in apps:
            assert await _post(proxy, "/mcp", Origin=origin) == (403, "origin_not_allowed")
        await configure(allowedOrigins=["app://obsidian.md", "tauri://localhost", "vscode-webview://*", "https://*"])
        for origin in (apps[0], apps[1], apps[3]):
            assert (await _post(proxy, "/mcp", Origin=origin))[1] != "origin_not_allowed"
        for origin in (apps[2], "app://other.md", "https://chat.example.com", "vscode-webviewx://1a2b"):
            assert await _post(proxy, "/mcp", Origin=origin) == (403, "origin_not_allowed")

    async def test_a_changed_list_of_origins_applies_at_once(self, proxy: Proxy, configure: Any) -> None:
        await configure()
        assert (await _post(proxy, "/mcp", Origin=CHAT_UI))[0] == 403
        await configure(allowedOrigins=[CHAT_UI])
        assert (await _post(proxy, "/mcp", Origin=CHAT_UI))[0] != 403


class TestHost:
    async def test_any_host_is_served_unless_hosts_are_named(self, proxy: Proxy, configure: Any) -> None:
        await configure()
        assert (await _post(proxy, "/mcp", Host="anything.example.com"))[1] != "host_not_allowed"
        await configure(allowedHosts=["127.0.0.1:8080"])
        assert await _post(proxy, "/mcp", Host="anything.example.com") == (421, "host_not_allowed")
        for host in ("127.0.0.1:8080", "assistant.example.com", "Assistant.Example.com"):
            assert (await _post(proxy, "/mcp", Host=host))[1] != "host_not_allowed"

    async def test_probes_and_openais_routes_check_no_host(self, proxy: Proxy, configure: Any) -> None:
        await configure(allowedHosts=["127.0.0.1:8080"])
        headers = AUTHORIZED | {"Host": "10.0.0.7:8080"}
        assert (await proxy.http.get("/readyz", headers=headers)).status_code == 200
        assert (await proxy.http.get("/v1/models", headers=headers)).status_code == 200


class TestCors:
    async def test_a_preflight_allows_what_a_page_of_an_allowed_origin_may_send(
        self, proxy: Proxy, configure: Any
    ) -> None:
        await configure(allowedOrigins=[CHAT_UI])
        asked = {
            "Origin": CHAT_UI,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
        }
        for path in ("/v1/chat/completions", "/mcp"):
            answer = await proxy.http.request("OPTIONS", path, headers=asked)
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == CHAT_UI
            assert answer.headers["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]
            assert "access-control-allow-credentials" not in answer.headers
        refused = await proxy.http.request("OPTIONS", "/mcp", headers=asked | {"Origin": "https://evil.example.com"})
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers

    async def test_pages_of_allowed_origins_may_read_answers_and_the_headers_of_errors(
        self, proxy: Proxy, configure: Any
    ) -> None:
        await configure(allowedOrigins=[CHAT_UI])
        for headers, status in ((AUTHORIZED, 200), ({}, 401)):
            answer = await proxy.http.get("/v1/models", headers={"Origin": CHAT_UI} | headers)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == CHAT_UI
            assert "www-authenticate" in answer.headers["access-control-expose-headers"]
            assert "x-sympozium-ignored" in answer.headers["access-control-expose-headers"]
            assert "x-ratelimit-remaining-tokens" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"
