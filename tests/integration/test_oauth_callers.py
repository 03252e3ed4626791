"""Callers with access tokens, and the metadata that tells them where to get tokens."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.conftest import KEY, Proxy, eventually, instance
from tests.integration.oauth_world import METADATA, World, oauth_world

from sympozium_api import names
from sympozium_api.resources import RUNS


@pytest.fixture
async def world(proxy: Proxy, tmp_path: Path) -> AsyncIterator[World]:
    async with oauth_world(proxy, tmp_path) as world:
        yield world


class TestCallers:
    async def test_a_run_names_a_pseudonym_of_the_tokens_subject_only(self, world: World) -> None:
        asked = asyncio.create_task(world.proxy.chat(key=world.issuer.token(sub="alice@example.com")))
        await (await world.proxy.pod()).answer("Hello")
        answer = await asked
        assert answer.status_code == 200
        run = world.proxy.kubernetes.object(RUNS, answer.headers["x-sympozium-run"])
        key_id = run["metadata"]["annotations"][names.ANNOTATION_KEY_ID]
        assert key_id.startswith("oauth-")
        assert "alice" not in json.dumps(run)

    async def test_a_run_has_the_tokens_scopes_and_one_of_a_key_has_no_caller(self, world: World) -> None:
        scopes = " ".join(["tools:write", "s" * 65, *(f"a{number}" for number in range(100))])
        for key, expected in ((world.issuer.token(scope=scopes), True), (KEY, False)):
            asked = asyncio.create_task(world.proxy.chat(key=key))
            await (await world.proxy.pod(among=1 if expected else 2)).answer("Hello")
            run = world.proxy.kubernetes.object(RUNS, (await asked).headers["x-sympozium-run"])
            assert ("caller" in run["spec"]) == expected
            if expected:
                caller = run["spec"]["caller"]
                assert caller["user"] == run["metadata"]["annotations"][names.ANNOTATION_KEY_ID]
                assert caller["scopes"][0] == "tools:write"
                assert len(caller["scopes"]) == 64

    async def test_all_tokens_of_a_subject_are_one_caller_and_another_subject_is_another(self, world: World) -> None:
        headers = {"Idempotency-Key": "once"}
        asked = asyncio.create_task(world.proxy.chat(key=world.issuer.token(), headers=headers))
        await (await world.proxy.pod()).answer("Hello")
        run = (await asked).headers["x-sympozium-run"]
        renewed = await world.proxy.chat(key=world.issuer.token(azp="another-client", jti="2"), headers=headers)
        assert renewed.headers["x-sympozium-run"] == run
        other = asyncio.create_task(world.proxy.chat(key=world.issuer.token(sub="bob"), headers=headers))
        await (await world.proxy.pod(among=2)).answer("Hello")
        assert (await other).headers["x-sympozium-run"] != run

    async def test_only_the_subject_of_a_response_may_read_it(self, world: World) -> None:
        body = {"input": "hello", "model": "demo"}
        mine = {"Authorization": f"Bearer {world.issuer.token()}"}
        asked = asyncio.create_task(world.proxy.http.post("/v1/responses", json=body, headers=mine))
        await (await world.proxy.pod()).answer("Hello")
        path = f"/v1/responses/{(await asked).json()['id']}"
        assert (await world.proxy.http.get(path, headers=mine)).status_code == 200
        for key in (world.issuer.token(sub="bob"), KEY):
            answer = await world.proxy.http.get(path, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 404

    async def test_each_subject_has_its_own_rate_limit(self, world: World) -> None:
        limit = {"requestsPerMinute": 60, "burstSize": 1}
        await world.configure(oauth=world.issuer.spec(), rateLimit=limit)
        codes = [
            (await world.proxy.chat(key=world.issuer.token(sub=subject), model="unknown")).status_code
            for subject in ("alice", "alice", "bob")
        ]
        assert codes == [404, 429, 404]

    async def test_metrics_have_one_label_for_all_callers_with_tokens(self, world: World) -> None:
        for number in range(3):
            assert await world.status(world.issuer.token(sub=f"user-{number}")) == 200
        asked = asyncio.create_task(world.proxy.chat(key=world.issuer.token()))
        await (await world.proxy.pod()).answer("Hello")
        await asked
        metrics = await world.proxy.metrics()
        assert 'sympozium_key_requests_total{key="oauth",status="200"} 4.0' in metrics
        assert 'sympozium_tokens_total{key="oauth",type="input"} 3.0' in metrics
        assert "oauth-" not in metrics


class TestMetadata:
    @pytest.mark.parametrize("resource", ["", "/mcp", "/sse"])
    async def test_the_metadata_names_the_resource_by_the_url_that_the_caller_used(
        self, world: World, resource: str
    ) -> None:
        await world.accept(requiredScopes=["agents:ask"])
        answer = await world.proxy.http.get(f"{METADATA}{resource}")
        assert answer.json() == {
            "resource": f"{world.proxy.url}{resource}",
            "authorization_servers": [world.issuer.url],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["agents:ask"],
        }

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({"Host": "assistant.example.com"}, "https://assistant.example.com"),
            ({"Host": "assistant.example.com", "X-Forwarded-Proto": "http"}, "https://assistant.example.com"),
            ({"Host": "proxy.example.com", "X-Forwarded-Proto": "https"}, "https://proxy.example.com"),
            ({"Host": "proxy.example.com", "X-Forwarded-Proto": "https, http"}, "https://proxy.example.com"),
            ({"Host": "localhost:8080"}, "http://localhost:8080"),
            ({"Host": "[::1]:8080"}, "http://[::1]:8080"),
            ({"Host": 'x", evil="'}, "https://assistant.example.com"),
        ],
    )
    async def test_the_metadata_names_the_instances_own_url_if_the_caller_used_it(
        self, world: World, headers: dict[str, str], expected: str
    ) -> None:
        own = {"status": {"webEndpoint": {"enabled": True, "url": "https://assistant.example.com"}}}
        oauth = {"webEndpoint": {"oauth": world.issuer.spec()}}
        world.proxy.kubernetes.put(instance(**oauth) | own)
        await eventually(lambda: bool(world.proxy.context.instance_cache.instance.status.web_endpoint))  # type: ignore[union-attr]
        answer = await world.proxy.http.get(METADATA, headers=headers)
        assert answer.json()["resource"] == expected
        refused = await world.proxy.http.get("/v1/models", headers=headers)
        assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{expected}{METADATA}"'

    async def test_an_instance_without_an_issuer_has_no_metadata(self, world: World) -> None:
        await world.configure()
        answer = await world.proxy.http.get(f"{METADATA}/mcp")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")

    async def test_the_challenge_names_the_metadata_and_the_scopes(self, world: World) -> None:
        await world.accept(requiredScopes=["agents:ask", "agents:read"])
        answer = await world.proxy.http.get("/v1/models")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == (
            f'Bearer resource_metadata="{world.proxy.url}{METADATA}", scope="agents:ask agents:read"'
        )
