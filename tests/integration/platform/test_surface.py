"""The surface as a whole: its health, errors, limits of callers, description and access."""

import asyncio
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from structlog.testing import capture_logs
from tests.integration.platform.conftest import BOTH, OTHER_TENANT, TENANT, Platform, error, serving

from sympozium_api.client import ApiUnavailable
from sympozium_api.rate_limit import CallRate
from sympozium_api.resources import API_KEYS
from sympozium_archive.database import Database
from sympozium_console.console_settings import CallerRates
from sympozium_platform.access import authenticated
from sympozium_platform.app import create_app
from sympozium_platform.platform_settings import PlatformSettings

OPEN = {"/health", "/health/db", "/auth/token", "/auth/test-token"}
BODY = {"scopes": ["tools:read"]}


def routes(platform: Platform) -> list[Any]:
    """All routes but those of the description itself."""
    found = iter_route_contexts(create_app(platform.context).routes)
    return [route for route in found if route.path not in ("/openapi.json", "/docs", "/redoc")]


class TestHealth:
    async def test_is_one_field_and_needs_no_token(self, platform: Platform) -> None:
        answer = await platform.request("GET", "/health", token="")
        assert (answer.status_code, answer.content) == (200, b'{"status":"ok"}')

    async def test_has_the_figures_of_the_pool(self, platform: Platform) -> None:
        async with platform.context.database.reading(), platform.context.database.reading():
            found = (await platform.request("GET", "/health/db", token="")).json()
        active = found.pop("active_connections")
        assert active >= 2
        assert found == {"status": "ok", "pool_size": 8, "max_overflow": 0, "usage_percent": 12.5 * active}


class TestAccess:
    async def test_takes_a_token_on_every_other_route(self, platform: Platform) -> None:
        for route in routes(platform):
            dependencies = {dependency.call for dependency in _all(route.dependant)}
            assert (authenticated in dependencies) is (route.path not in OPEN), route.path

    async def test_names_every_route_for_the_audit(self, platform: Platform) -> None:
        for route in routes(platform):
            kind, _, verb = route.name.partition(".")
            assert kind.isidentifier(), route.name
            assert verb.isidentifier(), route.name

    async def test_refuses_headers_without_a_token(self, platform: Platform) -> None:
        for header in ("", "Basic YTpi", "Bearer", "bearer x.y.z", "Bearer \xff"):
            answer = await platform.http.get("/api-keys", headers={b"Authorization": header.encode("latin-1")})
            error(answer, 401)


def _all(dependant: Any) -> list[Any]:
    return [dependant, *(inner for one in dependant.dependencies for inner in _all(one))]


class TestErrors:
    async def test_name_unknown_routes_and_methods(self, platform: Platform) -> None:
        assert error(await platform.request("GET", "/none"), 404)["type"] == "not_found_error"
        refusal = error(await platform.request("PUT", "/health"), 405)
        assert "GET" in refusal["message"]

    async def test_say_that_a_body_is_too_large(self, platform: Platform) -> None:
        error(await platform.request("POST", "/api-keys", content=b" " * (64 * 1024 + 1)), 413)

    async def test_say_that_a_body_is_no_json(self, platform: Platform) -> None:
        for content in (b"", b"{", b"\xff", b'{"scopes": NaN}', b'{"scopes": "\\ud800"}', b"[" * 100_000):
            answer = await platform.request("POST", "/api-keys", content=content[: 64 * 1024])
            assert error(answer, 400)["code"] == "invalid_json"

    async def test_name_some_of_many_faults(self, platform: Platform) -> None:
        for number, longest in ((20, 1000), (1500, 200)):
            body = {f"field_{n}": 0 for n in range(number)}
            for path, token in (("/auth/token", ""), ("/api-keys", None)):
                answer = await platform.request("POST", path, token=token, json=body)
                assert answer.status_code == 422
                assert len(answer.content) < longest
        answer = await platform.request("POST", "/api-keys", json={"x" * 5000: 0})
        assert len(answer.content) < 1000
        assert answer.json()["error"]["param"] == "scopes"

    async def test_read_json_whatever_its_content_type(self, platform: Platform) -> None:
        for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "no/such"):
            answer = await platform.request(
                "POST", "/api-keys", content=json.dumps(BODY), headers={"content-type": kind}
            )
            assert answer.status_code == 201, answer.text

    async def test_say_that_the_api_server_is_away(self, platform: Platform) -> None:
        platform.kubernetes.refuse("create", API_KEYS, ApiUnavailable("away"))
        answer = await platform.request("POST", "/api-keys", json=BODY)
        assert error(answer, 503)["type"] == "server_error"
        assert answer.headers["retry-after"] == "1"

    async def test_hide_what_nobody_expected_behind_the_requests_id(self, platform: Platform) -> None:
        platform.kubernetes.refuse("create", API_KEYS, RuntimeError("secret"))
        answer = await platform.request("POST", "/api-keys", json=BODY, headers={"x-request-id": "quoted"})
        refusal = error(answer, 500)
        assert "quoted" in refusal["message"]
        assert "secret" not in answer.text


class TestLimits:
    async def test_count_each_key_for_itself_and_runs_apart(self, tmp_path: Path) -> None:
        database = await Database.open_scratch(str(tmp_path / "index.db"))
        settings = PlatformSettings(default_rate=CallRate(3, 60), runs_rate=CallRate(1, 60))
        async with serving(tmp_path, database, settings) as platform:
            token = await platform.token(user="grace")  # which counts, too
            answers = [await platform.request("GET", "/api-keys", token=token) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200, 200, 429]
            assert error(answers[2], 429)["type"] == "rate_limit_error"
            assert 1 <= int(answers[2].headers["retry-after"]) <= 60
            assert (await platform.request("GET", "/api-keys")).status_code == 200
            assert [(await platform.request("GET", path, token="")).status_code for path in ("/health", "/none")] == [
                200,
                404,
            ]
            starts = [await platform.request("POST", path, token=token, json={}) for path in ("/runs", "/runs/stream")]
            assert [answer.status_code for answer in starts] == [422, 429]
            assert starts[0].headers["x-ratelimit-limit-requests"] == "1"
        await database.close()

    async def test_bound_wrong_tokens_of_an_address_and_cost_the_right_ones_nothing(self, tmp_path: Path) -> None:
        database = await Database.open_scratch(str(tmp_path / "index.db"))
        async with serving(tmp_path, database, rates=CallerRates(failed_sign_ins=CallRate(2, 60))) as platform:
            wrong = [await platform.request("GET", "/api-keys", token="no") for _ in range(2)]
            wrong += [await platform.request("POST", "/auth/token", json={"api_key": "no"})]
            assert [answer.status_code for answer in wrong] == [401, 401, 429]
            assert "retry-after" in wrong[2].headers
            assert (await platform.request("GET", "/api-keys")).status_code == 200
            elsewhere = {"X-Forwarded-For": "203.0.113.7"}
            error(await platform.request("GET", "/api-keys", token="no", headers=elsewhere), 401)
        await database.close()

    async def test_bound_bodies_that_are_no_key_as_wrong_keys(self, tmp_path: Path) -> None:
        database = await Database.open_scratch(str(tmp_path / "index.db"))
        async with serving(tmp_path, database, rates=CallerRates(failed_sign_ins=CallRate(3, 60))) as platform:
            bodies = (b"{", b'{"key": 1}', b" " * (32 * 1024 + 1), b"{}")
            answers = [await platform.request("POST", "/auth/token", token="", content=body) for body in bodies]
            assert [answer.status_code for answer in answers] == [400, 422, 413, 429]
            error(await platform.request("POST", "/api-keys", content=b"{"), 400)
        await database.close()

    async def test_are_of_the_key_in_its_tenant(self, tmp_path: Path) -> None:
        """Keys of a file have their users' names as ids, and two tenants may have users of one name."""
        database = await Database.open_scratch(str(tmp_path / "index.db"))
        keys = {tenant: {"tenant_id": tenant, "user_id": "ci", "scopes": BOTH} for tenant in (TENANT, OTHER_TENANT)}
        settings = PlatformSettings(default_rate=CallRate(2, 60))
        async with serving(tmp_path, database, settings, auth_api_keys=json.dumps(keys)) as platform:

            async def statuses(tenant: str) -> list[int]:
                key = {"x-api-key": tenant}
                token = (await platform.request("POST", "/auth/token", headers=key)).json()["token"]
                return [(await platform.request("GET", "/api-keys", token=token)).status_code for _ in range(2)]

            assert [await statuses(TENANT), await statuses(OTHER_TENANT)] == [[200, 429], [200, 429]]
        await database.close()

    async def test_are_those_of_the_variables(self) -> None:
        settings = PlatformSettings.from_environment({"RATE_LIMIT_DEFAULT": "7/second", "RATE_LIMIT_RUNS": "5/hour"})
        assert (settings.default_rate, settings.runs_rate) == (CallRate(7, 1), CallRate(5, 3600))
        with pytest.raises(SystemExit, match="RATE_LIMIT_RUNS"):
            PlatformSettings.from_environment({"RATE_LIMIT_RUNS": "many"})


class TestItsDescription:
    async def test_has_every_route_and_the_models_of_bodies(self, platform: Platform) -> None:
        document = (await platform.request("GET", "/openapi.json", token="")).json()
        found = {(path, method.upper()) for path, ways in document["paths"].items() for method in ways}
        assert found == {(route.path, method) for route in routes(platform) for method in route.methods}
        text = json.dumps(document)
        assert "$defs" not in text
        references = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
        assert references <= document["components"]["schemas"].keys()

    async def test_is_a_page_that_loads_nothing_from_elsewhere(self, platform: Platform) -> None:
        page = await platform.request("GET", "/docs", token="")
        assert (await platform.request("GET", "/redoc", token="")).text == page.text
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert all(f"<code>{route.path}</code>" in page.text for route in routes(platform))
        assert page.headers["content-type"].startswith("text/html")
        assert not re.search(r"""<script|<link|<img|@import|url\(|(src|href)=["'][^"'#o]""", page.text)

    async def test_has_a_call_of_every_route_to_paste_into_a_shell(self, platform: Platform) -> None:
        page = html.unescape((await platform.request("GET", "/docs", token="")).text)
        calls = re.findall("<pre>(curl .*)</pre>", page)
        assert len(calls) == sum(len(route.methods) for route in routes(platform))
        token = '-H "Authorization: Bearer $TOKEN"'
        assert f'curl -X PUT "$URL/agents/$agent_id" {token} -d @body.json' in calls
        assert f'curl -X GET "$URL/agents/$agent_id/tools" {token}' in calls
        assert 'curl -X GET "$URL/health"' in calls


async def test_the_log_has_key_route_and_status_and_no_content(platform: Platform) -> None:
    with capture_logs() as logs:
        key = (await platform.request("POST", "/api-keys", json=BODY)).json()
    [line] = [line for line in logs if line["event"] == "request"]
    assert (line["route"], line["status"], line["method"]) == ("/api-keys", 201, "POST")
    assert key["api_key"] not in str(logs)


async def test_requests_at_once_are_served(platform: Platform) -> None:
    answers = await asyncio.gather(*(platform.request("GET", "/api-keys") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
