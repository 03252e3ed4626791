"""Keys of an authorization server: how the web-proxy fetches, caches and trusts them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import KEY, Proxy, eventually
from tests.integration.oauth_world import World, oauth_world


@pytest.fixture
async def world(proxy: Proxy, tmp_path: Path) -> AsyncIterator[World]:
    async with oauth_world(proxy, tmp_path) as world:
        yield world


class TestKeysOfTheIssuer:
    async def test_the_issuers_keys_are_fetched_once(self, world: World) -> None:
        answers = await asyncio.gather(*(world.status(world.issuer.token()) for _ in range(10)))
        assert answers == [200] * 10
        assert world.fetches() == 1

    async def test_a_new_key_is_fetched_when_a_token_names_it(self, world: World) -> None:
        old = world.issuer.token()
        assert await world.status(old) == 200
        world.issuer.rotate("k2")
        world.proxy.clock.advance(10)
        assert await world.status(world.issuer.token()) == 200
        assert await world.status(old) == 200
        assert world.fetches() == 2

    async def test_tokens_with_unknown_keys_cause_few_fetches(self, world: World) -> None:
        tokens = [world.issuer.token(headers={"kid": f"unknown-{number}"}) for number in range(30)]
        assert {await world.status(token) for token in tokens} == {401}
        assert world.fetches() == 1
        world.proxy.clock.advance(10)
        assert {await world.status(token) for token in tokens} == {401}
        assert world.fetches() == 2

    async def test_a_withdrawn_key_is_soon_refused(self, world: World) -> None:
        token = world.issuer.token()
        assert await world.status(token) == 200
        world.issuer.documents["/keys"]["keys"].clear()
        world.proxy.clock.advance(600)
        assert await world.status(token) == 200  # and has them fetched beside
        await eventually(lambda: world.fetches() == 2)
        async with asyncio.timeout(60):
            while await world.status(token) != 401:
                await asyncio.sleep(0.01)

    async def test_a_withdrawn_key_is_refused_at_once_where_nobody_asked_for_an_hour(self, world: World) -> None:
        token = world.issuer.token()
        assert await world.status(token) == 200
        world.issuer.documents["/keys"]["keys"].clear()
        world.proxy.clock.advance(3600)
        assert await world.status(token) == 401

    async def test_api_keys_work_while_the_issuer_is_away(self, world: World) -> None:
        del world.issuer.documents["/keys"]
        answer = await world.ask(world.issuer.token())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "issuer_unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert await world.status(KEY) == 200
        assert await world.status("sk-wrong") == 401

    async def test_known_keys_outlast_their_issuer_for_a_day(self, world: World) -> None:
        token = world.issuer.token()
        assert await world.status(token) == 200
        kept = world.issuer.documents.pop("/keys")
        world.proxy.clock.advance(23 * 3600)
        assert await world.status(token) == 200
        await eventually(lambda: world.fetches() == 2)
        world.proxy.clock.advance(3600)
        assert await world.status(token) == 503
        world.issuer.documents["/keys"] = kept
        assert await world.status(token) == 503  # not yet again
        world.proxy.clock.advance(10)
        assert await world.status(token) == 200

    @pytest.mark.parametrize(
        "document",
        [
            {"issuer": "https://other.example.com", "jwks_uri": "https://other.example.com/keys"},
            {"issuer": None},
            {"jwks_uri": None},
            {"jwks_uri": "http://127.0.0.1/keys"},
            "text",
            ["x" * 300_000],
        ],
    )
    async def test_untrustworthy_metadata_of_an_issuer_is_refused(self, world: World, document: Any) -> None:
        known = world.issuer.documents["/.well-known/openid-configuration"]
        changed = known | document if isinstance(document, dict) else document
        world.issuer.documents["/.well-known/openid-configuration"] = changed
        assert await world.status(world.issuer.token()) == 503

    @pytest.mark.parametrize("keys", [[], {"keys": None}, {"keys": {}}])
    async def test_an_invalid_key_set_is_not_an_empty_one(self, world: World, keys: Any) -> None:
        world.issuer.documents["/keys"] = keys
        assert await world.status(world.issuer.token()) == 503

    async def test_metadata_of_rfc_8414_suffices(self, world: World) -> None:
        issuer, documents = world.issuer, world.issuer.documents
        found = documents.pop("/.well-known/openid-configuration")
        issuer.url = f"{issuer.url}/realms/house"
        documents["/.well-known/oauth-authorization-server/realms/house"] = found | {"issuer": issuer.url}
        await world.accept()
        assert await world.status(issuer.token()) == 200

    async def test_a_configured_jwks_url_needs_no_metadata(self, world: World) -> None:
        world.issuer.documents.pop("/.well-known/openid-configuration")
        await world.accept(jwksURI=f"{world.issuer.url}/keys")
        assert await world.status(world.issuer.token()) == 200

    async def test_an_issuers_certificate_of_an_unknown_authority_is_not_trusted(self, world: World) -> None:
        await world.configure(oauth=world.issuer.spec() | {"certificateAuthority": None})
        assert await world.status(world.issuer.token()) == 503

    async def test_a_certificate_authority_that_cannot_be_parsed_changes_nothing(self, world: World) -> None:
        assert await world.status(world.issuer.token()) == 200
        await world.accept(certificateAuthority="nonsense", audiences=["https://other.example.com"])
        assert await world.status(world.issuer.token()) == 200

    async def test_another_issuer_applies_at_once(self, world: World) -> None:
        token = world.issuer.token()
        assert await world.status(token) == 200
        await world.accept(audiences=["https://other.example.com"])
        assert await world.status(token) == 401
        world.issuer.documents["/.well-known/openid-configuration"]["issuer"] = f"{world.issuer.url}/"
        await world.accept(issuer=f"{world.issuer.url}/")
        assert await world.status(token) == 401
        assert world.fetches() == 2
