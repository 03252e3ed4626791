"""The sign-in at an issuer by the code flow: who gets a session, and what an attacker's part in it does not get."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from cryptography.fernet import Fernet
from tests.fakes.callers import grant
from tests.fakes.sign_in_issuer import CLIENT, SECRET, SignInIssuer
from tests.integration.console.conftest import DEMO, Console, serving

from sympozium_api import environment
from sympozium_api.web_endpoint import OAuth
from sympozium_archive.database import Database
from sympozium_console.browser_sessions import SESSION_SECONDS
from sympozium_domain.callers.issuer_users import IssuerSettings
from sympozium_http.authorization_code import OidcClient


@dataclass
class World:
    """A console, its issuer, and a browser that follows no redirect by itself."""

    console: Console
    issuer: SignInIssuer
    browser: httpx2.AsyncClient

    async def begin(self, target: str = "/instances") -> str:
        """Return the address at the issuer to which the link sends the browser."""
        answer = await self.browser.get("/login/oidc", params={"next": target})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def agree(self, address: str) -> str:
        """Return the address at the console to which the issuer sends a person back who agrees."""
        query = dict(parse_qsl(urlsplit(address).query))
        return await asyncio.to_thread(self.issuer.authorize, query)

    async def back(self, address: str) -> httpx2.Response:
        return await self.browser.get(address)


@asynccontextmanager
async def signing_in(folder: Path) -> AsyncIterator[World]:
    (folder / "keys").mkdir()
    (folder / "keys" / environment.COOKIE_KEYS[0]).write_bytes(Fernet.generate_key())
    database, issuer = await Database.open_scratch(str(folder / "index.db")), SignInIssuer(folder)
    oauth = OAuth(issuer=issuer.issuer.url, audiences=["api"], certificate_authority=issuer.issuer.authority.decode())
    settings: dict[str, Any] = {
        "issuer": IssuerSettings(oauth, username_claim="email"),
        "oidc_client": OidcClient(CLIENT, SECRET),
    }
    with issuer.running():
        async with (
            serving(folder, database, **settings) as console,
            httpx2.AsyncClient(base_url=console.http.base_url, timeout=60) as browser,
        ):
            yield World(console, issuer, browser)
    await database.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with signing_in(tmp_path) as world:
        world.issuer.claims = {"email": "ada@example.com", "email_verified": True}
        yield world


async def test_a_person_comes_back_with_a_session_and_the_rights_of_rbac(world: World) -> None:
    assert 'href="/login/oidc?next=/runs"' in (await world.browser.get("/login?next=/runs")).text
    address = await world.begin()
    [asked] = [dict(parse_qsl(urlsplit(address).query))]
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT, "openid profile email")
    assert asked["code_challenge_method"] == "S256"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    answer = await world.back(await world.agree(address))
    assert (answer.status_code, answer.headers["location"]) == (303, "/instances"), answer.text
    assert SECRET not in str(world.browser.cookies)
    me = (await world.browser.get("/api/v1/me")).json()
    assert (me["kind"], me["user"]) == ("kubernetes", "ada@example.com")
    assert (await world.browser.get(DEMO)).status_code == 403
    grant(world.console.kubernetes, "ada@example.com", "default", verbs=("get",))
    world.console.clock.advance(11)
    assert (await world.browser.get(DEMO)).status_code == 200


async def test_the_session_outlasts_the_id_token_and_ends_after_eight_hours(world: World) -> None:
    await world.back(await world.agree(await world.begin()))
    world.console.clock.advance(SESSION_SECONDS - 60)
    assert (await world.browser.get("/api/v1/me")).status_code == 200
    world.console.clock.advance(120)
    assert (await world.browser.get("/api/v1/me")).status_code == 401


async def test_a_code_counts_once_and_only_in_the_browser_that_has_begun(world: World) -> None:
    address = await world.agree(await world.begin())
    async with httpx2.AsyncClient(base_url=world.console.http.base_url) as other:
        assert (await other.get(address)).status_code == 401
    assert (await world.back(address)).status_code == 303
    assert (await world.back(address)).status_code == 401  # the cookie of the attempt is gone
    mine = await world.agree(await world.begin())
    later = await world.begin()
    assert (await world.back(mine)).status_code == 401  # of an attempt before the last
    assert (await world.back(await world.agree(later))).status_code == 401  # which that refusal has ended


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"nonce": "another"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"aud": "api"}, "does not count"),
        ({"aud": [CLIENT, "api"], "azp": "api"}, "another client"),
        ({"iss": "https://elsewhere.example.com"}, "does not count"),
        ({"exp": 1}, "does not count"),
        ({"email": "system:admin"}, "Kubernetes"),
        ({"email_verified": False}, "not verified"),
        ({"email": None}, "no text in the claim email"),
    ],
)
async def test_an_id_token_that_is_not_for_this_sign_in_begins_no_session(
    world: World, claims: dict[str, Any], words: str
) -> None:
    world.issuer.claims |= claims
    answer = await world.back(await world.agree(await world.begin()))
    assert answer.status_code == 401
    assert words in answer.text
    assert (await world.browser.get("/api/v1/me")).status_code == 401


async def test_what_a_person_or_an_attacker_may_bring_back(world: World) -> None:
    address = await world.begin()
    state = dict(parse_qsl(urlsplit(address).query))["state"]
    refused = await world.back(f"/login/callback?state={state}&error=access_denied")
    assert refused.status_code == 401
    assert "access_denied" in refused.text
    for query in ("", "?code=x", "?code=x&state=", "?code=x&state=%C3%A9", f"?code=code-1&state={state}"):
        assert (await world.back(f"/login/callback{query}")).status_code == 401, query
    await world.begin()
    state = dict(parse_qsl(urlsplit(await world.begin()).query))["state"]
    assert (await world.back(f"/login/callback?code=x&state={state}&iss=https://evil.example")).status_code == 401


LONG = "/" + "".join(chr(0x4E00 + n * 20_707 % 20_000) for n in range(900))
"""A path that the cookie of an attempt does not hold, although it has fewer than a thousand characters."""


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/" + "x" * 5000, LONG])
async def test_the_way_back_stays_at_this_console(world: World, target: str) -> None:
    answer = await world.back(await world.agree(await world.begin(target)))
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_the_issuer_is_asked_about_a_bounded_number_of_codes(world: World) -> None:
    """Anybody gets a state, and a cookie that is kept brings it back any number of times."""
    asked = list[str]()

    def token(form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        assert authorization
        asked.append(form["code"])
        return 503, {}

    world.issuer.token = token  # type: ignore[method-assign]
    state = dict(parse_qsl(urlsplit(await world.begin()).query))["state"]
    cookies = dict(world.browser.cookies)
    for _ in range(70):
        world.browser.cookies.update(cookies)
        answer = await world.back(f"/login/callback?code=x&state={state}")
    assert answer.status_code == 429
    assert "retry-after" in answer.headers
    assert len(asked) == 60


async def test_an_issuer_that_is_away_is_told_and_a_token_still_signs_in(world: World) -> None:
    address = await world.begin()
    world.issuer.token = lambda *_: (503, {})  # type: ignore[method-assign]
    answer = await world.back(await world.agree(address))
    assert answer.status_code == 503
    assert "cannot be reached now" in answer.text
    form = await world.browser.post("/login", data={"token": "secret"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert form.status_code == 303


async def test_without_a_client_there_is_no_such_sign_in(console: Console) -> None:
    assert (await console.http.get("/login/oidc")).status_code == 404
    assert "/login/oidc" not in (await console.http.get("/login")).text
