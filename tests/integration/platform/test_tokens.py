"""Tokens: got for API keys, or signed by others that have the secret; valid for an hour, and no longer than their key."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.fakes.callers import namespace_object
from tests.integration.conftest import eventually
from tests.integration.platform.conftest import (
    JWT_SECRET,
    NAMESPACE,
    OTHER_NAMESPACE,
    OTHER_TENANT,
    TENANT,
    Platform,
    error,
    serving,
)

from sympozium_api.resources import API_KEYS, NAMESPACES
from sympozium_archive.database import Database
from sympozium_domain.callers.access_tokens import TokenSettings
from sympozium_platform.platform_settings import PlatformSettings

GETS = "/api-keys"
"""Path of a route that every reader may call."""


BODIES: tuple[tuple[bytes, int, str | None], ...] = (
    (b"", 401, None),
    (b"{", 400, None),
    (b"\xff", 400, None),
    (b"[]", 422, None),
    (b"{}", 422, "api_key"),
    (b'{"api_key": 1}', 422, "api_key"),
    (b'{"api_key": "sym_unknown"}', 401, None),
    ('{"api_key": "schlüssel"}'.encode(), 401, None),
    (b'{"api_key": "k", "more": 1}', 422, "more"),
)


async def exchanged(platform: Platform, **options: Any) -> str:
    answer = await platform.request("POST", "/auth/token", token="", **options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    [(name, token)] = answer.json().items()
    assert name == "token"
    return str(token)


def claims_of(token: str) -> dict[str, Any]:
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims: dict[str, Any] = jwt.decode(token, JWT_SECRET, ["HS256"], audience="agent-platform", options=options)
    return claims


def key_id(platform: Platform, user: str) -> str:
    [record] = [record for record in platform.context.callers.keys.all(None) if record.user == user]
    return record.id


async def status(platform: Platform, token: str, path: str = GETS, method: str = "GET") -> int:
    return (await platform.request(method, path, token=token)).status_code


class TestATokenForAKey:
    async def test_has_the_claims_of_the_key(self, platform: Platform) -> None:
        key = await platform.key(scopes=("tools:read",), user="grace")
        token = await exchanged(platform, headers={"x-api-key": key})
        now = int(platform.clock.now().timestamp())
        assert claims_of(token) == {
            "sub": "grace",
            "tenant_id": TENANT,
            "scopes": ["tools:read"],
            "iss": "agent-platform",
            "aud": "agent-platform",
            "key_id": key_id(platform, "grace"),
            "iat": now,
            "exp": now + 3600,
        }
        assert await status(platform, token) == 200

    async def test_is_got_by_a_header_which_wins_or_by_a_body_of_any_content_type(self, platform: Platform) -> None:
        key = await platform.key(user="grace")
        body = json.dumps({"api_key": key})
        form = {"content-type": "application/x-www-form-urlencoded"}
        await exchanged(platform, content=body, headers=form)
        token = await exchanged(platform, headers={"x-api-key": key}, json={"api_key": "another"})
        assert claims_of(token)["sub"] == "grace"
        error(await platform.request("POST", "/auth/token", json={"api_key": key}, headers={"x-api-key": "no"}), 401)

    async def test_has_no_scopes_of_other_dialects(self, platform: Platform) -> None:
        token = await platform.token("tools:read", "operator.admin")
        assert claims_of(token)["scopes"] == ["tools:read"]
        key = await platform.key(scopes=("operator.admin",), user="grace")
        error(await platform.request("POST", "/auth/token", headers={"x-api-key": key}), 403)

    async def test_is_refused_for_other_bodies(self, platform: Platform) -> None:
        for body, refusal, param in BODIES:
            error(await platform.request("POST", "/auth/token", token="", content=body), refusal, param)

    async def test_is_refused_for_keys_that_are_revoked_expired_or_of_no_tenant(self, platform: Platform) -> None:
        revoked, expiring = await platform.key(user="grace"), await platform.key(user="alan", expires_in=5)
        homeless = await platform.key(user="linus", namespace="nowhere")
        assert await platform.context.callers.issuing.revoke(NAMESPACE, key_id(platform, "grace"))
        platform.clock.advance(6)
        for key in (revoked, expiring, homeless):
            error(await platform.request("POST", "/auth/token", headers={"x-api-key": key}), 401)

    async def test_works_for_keys_of_a_file_as_long_as_they_are_there(self, tmp_path: Path) -> None:
        file, database = tmp_path / "static.json", await Database.open_scratch(str(tmp_path / "index.db"))
        entry = {"tenant_id": TENANT, "user_id": "admin", "scopes": ["tools:read", "tools:write"]}
        file.write_text(json.dumps({"admin-key-123": entry}))
        async with serving(tmp_path, database, auth_api_keys=str(file)) as platform:
            token = await exchanged(platform, headers={"x-api-key": "admin-key-123"})
            assert claims_of(token)["key_id"] == "AUTH_API_KEYS/admin"
            assert await status(platform, token) == 200
            file.write_text("{}")
            platform.clock.advance(3)
            assert await status(platform, token) == 401
        await database.close()


def unsigned(platform: Platform) -> str:
    return platform.signed("", "none")


def half_unsigned(platform: Platform) -> str:
    """A token whose header says none while its signature is another token's."""
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return header + platform.signed()[platform.signed().index(".") :]


def claiming(**claims: Any) -> Callable[[Platform], str]:
    return lambda platform: platform.signed(**claims)


REFUSED: dict[str, Callable[[Platform], str]] = {
    "another secret": lambda platform: platform.signed("x" * 64),
    "another algorithm": lambda platform: platform.signed(algorithm="HS512"),
    "alg none": unsigned,
    "alg none with a signature": half_unsigned,
    "a cut signature": lambda platform: platform.signed()[:-2],
    "no JWT": lambda _: "sym_1234",
    "three parts of nothing": lambda _: "..",
    "another issuer": claiming(iss="another"),
    "another audience": claiming(aud="another"),
    "no subject": claiming(sub=None),
    "no tenant": claiming(tenant_id=None),
    "no scopes": claiming(scopes=None),
    "no issuer": claiming(iss=None),
    "no audience": claiming(aud=None),
    "a subject that is empty": claiming(sub=""),
    "a subject that is too long": claiming(sub="x" * 254),
    "a subject with half a character": claiming(sub="\ud800"),
    "scopes that are a text": claiming(scopes="tools:read"),
    "scopes that are numbers": claiming(scopes=[1]),
    "a tenant that is a number": claiming(tenant_id=1),
    "an unknown tenant": claiming(tenant_id="8f0e5c2e-0000-4000-8000-000000000000"),
    "a namespace's name as the tenant": claiming(tenant_id=NAMESPACE),
    "a time that is past": claiming(exp=1),
    "a time that is no time": claiming(exp="tomorrow"),
    "a time that is a truth": claiming(exp=True),
    "a time that is no number": claiming(exp=float("nan")),
    "a beginning to come": claiming(nbf=4_000_000_000),
    "a key that is a number": claiming(key_id=1),
    "a key that is no key": claiming(key_id="no"),
    "an unknown key": claiming(key_id="8f0e5c2e-0000-4000-8000-000000000000"),
    "an unknown key of a file": claiming(key_id="AUTH_API_KEYS/ada"),
}


class TestATokenThatOthersSigned:
    async def test_needs_five_claims_only(self, platform: Platform) -> None:
        assert await status(platform, platform.signed()) == 200
        assert await status(platform, platform.signed(aud=["one", "agent-platform"], exp=4e9, nbf=1)) == 200

    async def test_has_an_id_of_its_own_in_limits_which_is_not_the_user_name(self, platform: Platform) -> None:
        tokens = platform.context.callers.tokens
        one, other = await tokens.caller(platform.signed()), await tokens.caller(platform.signed(sub="grace"))
        assert one.key_id != other.key_id
        assert one.key_id.startswith("jwt-")
        assert "ada" not in one.key_id

    async def test_is_refused_with_anything_wrong(self, platform: Platform) -> None:
        found = {}
        for name, made in REFUSED.items():
            answer = await platform.request("GET", GETS, token=made(platform))
            found[name] = answer.status_code
            if answer.status_code == 401:
                assert answer.headers["www-authenticate"] == "Bearer"
                assert error(answer, 401)["type"] == "authentication_error"
        assert found == dict.fromkeys(REFUSED, 401)

    async def test_is_refused_if_it_names_the_key_of_another_user_or_tenant(self, platform: Platform) -> None:
        await platform.key(user="grace")
        await platform.key(user="alan", namespace=OTHER_NAMESPACE)
        grace, alan = key_id(platform, "grace"), key_id(platform, "alan")
        assert await status(platform, platform.signed(sub="grace", key_id=grace)) == 200
        assert await status(platform, platform.signed(sub="ada", key_id=grace)) == 401
        assert await status(platform, platform.signed(sub="alan", key_id=alan)) == 401
        assert await status(platform, platform.signed(sub="alan", key_id=alan, tenant_id=OTHER_TENANT)) == 200

    async def test_has_no_more_scopes_than_the_key_that_it_names(self, platform: Platform) -> None:
        await platform.key(user="grace", scopes=("tools:read",))
        token = platform.signed(sub="grace", key_id=key_id(platform, "grace"))
        body = {"scopes": ["tools:read"]}
        error(await platform.request("POST", "/api-keys", token=token, json=body), 403)

    async def test_may_have_the_scope_that_its_keys_scope_includes(self, platform: Platform) -> None:
        await platform.key(user="grace", scopes=("tools:write",))
        token = platform.signed(sub="grace", key_id=key_id(platform, "grace"), scopes=["tools:read"])
        assert await status(platform, token) == 200
        error(await platform.request("POST", "/api-keys", token=token, json={"scopes": ["tools:read"]}), 403)

    async def test_waits_for_a_key_that_another_replica_made(self, platform: Platform) -> None:
        """The watch has not brought the key yet; it is looked up once."""
        made = await platform.key(user="grace")
        assert made
        wanted = key_id(platform, "grace")
        token = platform.signed(sub="grace", key_id=wanted)
        store = platform.context.callers.keys
        store.remove(next(key.uid for key in store.all(None) if key.user == "grace"))
        assert await status(platform, token) == 200


class TestThePowerOfAToken:
    async def test_ends_after_an_hour(self, platform: Platform) -> None:
        token = await platform.token()
        platform.clock.advance(3599)
        assert await status(platform, token) == 200
        platform.clock.advance(1)
        assert await status(platform, token) == 401

    async def test_ends_with_its_key_at_every_replica(self, platform: Platform, tmp_path: Path) -> None:
        token, mine = await platform.token(user="grace"), await platform.token(user="grace")
        first, second = (claims_of(one)["key_id"] for one in (token, mine))
        (tmp_path / "another").mkdir()
        database = await Database.open_scratch(str(tmp_path / "another" / "index.db"))
        async with serving(tmp_path / "another", database, kubernetes=platform.kubernetes) as other:
            assert await status(other, token) == 200
            answer = await platform.request("DELETE", f"/api-keys/{first}", token=mine)
            assert answer.status_code == 204
            keys = other.context.callers.keys
            await eventually(lambda: (found := keys.by_id(NAMESPACE, first)) is not None and found.revoked)
            assert [await status(one, token) for one in (platform, other)] == [401, 401]
            assert [await status(one, mine) for one in (platform, other)] == [200, 200]
            uid = platform.kubernetes.object(API_KEYS, keys.by_id(NAMESPACE, second).object_name, NAMESPACE)  # type: ignore[union-attr]
            await platform.kubernetes.delete(API_KEYS, NAMESPACE, uid["metadata"]["name"])
            await eventually(lambda: keys.by_id(NAMESPACE, second) is None)
            assert await status(other, mine) == 401
        await database.close()

    async def test_ends_with_its_tenant(self, platform: Platform) -> None:
        token = await platform.token(namespace=OTHER_NAMESPACE)
        await platform.kubernetes.delete(NAMESPACES, "default", OTHER_NAMESPACE)
        platform.clock.advance(11)
        assert await status(platform, token) == 401

    async def test_is_read_only_without_the_scope_to_write(self, platform: Platform) -> None:
        reader, writer = await platform.token("tools:read"), await platform.token("tools:write")
        refusal = error(await platform.request("POST", "/api-keys", token=reader, json={"scopes": ["tools:read"]}), 403)
        assert (refusal["type"], refusal["code"]) == ("permission_error", "insufficient_scope")
        assert "tools:write" in refusal["message"]
        assert await status(platform, writer) == 200
        assert await status(platform, platform.signed(scopes=[])) == 403

    async def test_begins_soon_after_its_tenant(self, platform: Platform) -> None:
        token = platform.signed(tenant_id="new")
        assert await status(platform, token) == 401
        platform.kubernetes.put(namespace_object("new", **{"sympozium.ai/tenant-id": "new"}))
        platform.clock.advance(1)
        assert await status(platform, token) == 200
        assert claims_of(await platform.token(namespace="new"))["tenant_id"] == "new"

    async def test_needs_a_tenant_of_its_own(self, platform: Platform) -> None:
        """Two namespaces with one tenant id are no tenant: nobody could say which is meant."""
        token = platform.signed(tenant_id="twice")
        for name in ("one", "two"):
            platform.kubernetes.put(namespace_object(name, **{"sympozium.ai/tenant-id": "twice"}))
        platform.clock.advance(11)
        assert await status(platform, token) == 401


class TestTheSecret:
    async def test_may_be_replaced_while_tokens_of_the_former_one_stay_valid(
        self, platform: Platform, tmp_path: Path
    ) -> None:
        token = await platform.token()
        keys = tmp_path / "keys"
        (keys / "JWT_SECRET_OLD").write_text(JWT_SECRET)
        (keys / "JWT_SECRET").write_text("n" * 64)
        platform.clock.advance(3)
        assert await status(platform, token) == 200
        new = await platform.token()
        with pytest.raises(jwt.InvalidSignatureError):
            claims_of(new)
        (keys / "JWT_SECRET_OLD").unlink()
        platform.clock.advance(3)
        assert [await status(platform, one) for one in (token, new)] == [401, 200]

    async def test_that_is_missing_or_short_makes_tokens_impossible(self, platform: Platform, tmp_path: Path) -> None:
        token = await platform.token()
        key = await platform.key()
        for content in ("short", None):
            file = tmp_path / "keys" / "JWT_SECRET"
            file.write_text(content) if content else file.unlink()
            platform.clock.advance(3)
            error(await platform.request("GET", GETS, token=token), 503)
            error(await platform.request("POST", "/auth/token", headers={"x-api-key": key}), 503)

    async def test_has_the_algorithm_issuer_and_audience_of_the_settings(self, tmp_path: Path) -> None:
        database = await Database.open_scratch(str(tmp_path / "index.db"))
        settings = PlatformSettings(tokens=TokenSettings("HS512", "us", "them"))
        async with serving(tmp_path, database, settings) as platform:
            token = await platform.token()
            assert jwt.get_unverified_header(token)["alg"] == "HS512"
            assert await status(platform, platform.signed(algorithm="HS512", iss="us", aud="them")) == 200
            assert await status(platform, platform.signed(iss="us", aud="them")) == 401
        await database.close()


class TestATestToken:
    async def test_is_not_there_by_default(self, platform: Platform) -> None:
        error(await platform.request("GET", "/auth/test-token", token=""), 404)

    async def test_has_both_scopes_in_one_namespace(self, tmp_path: Path) -> None:
        database = await Database.open_scratch(str(tmp_path / "index.db"))
        settings = PlatformSettings(test_tokens=True, test_namespace=OTHER_NAMESPACE)
        async with serving(tmp_path, database, settings) as platform:
            answer = await platform.request("GET", "/auth/test-token", token="")
            claims = claims_of(answer.json()["token"])
            assert (claims["tenant_id"], claims["scopes"]) == (OTHER_TENANT, ["tools:read", "tools:write"])
            assert await status(platform, answer.json()["token"]) == 200
        await database.close()

    @pytest.mark.parametrize(
        ("variables", "given"),
        [
            ({}, False),
            ({"ENVIRONMENT": "prod"}, False),
            ({"ENVIRONMENT": "dev"}, True),
            ({"ALLOW_TEST_TOKENS": "true"}, True),
            ({"ALLOW_TEST_TOKENS": "false", "ENVIRONMENT": "dev"}, True),
        ],
    )
    def test_is_given_by_either_variable(self, variables: dict[str, str], given: bool) -> None:
        assert PlatformSettings.from_environment(variables).test_tokens is given


async def test_many_requests_with_one_token_read_no_key_and_no_namespace_again(platform: Platform) -> None:
    token = await platform.token()
    reads = len(platform.kubernetes.reads)
    await asyncio.gather(*(status(platform, token) for _ in range(20)))
    assert len(platform.kubernetes.reads) == reads
