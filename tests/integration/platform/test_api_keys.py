"""API keys: made by their users with no more than these have, shown once, and revoked for ever."""

import uuid
from datetime import datetime
from typing import Any

import pytest
from tests.integration.platform.conftest import (
    NAMESPACE,
    OTHER_NAMESPACE,
    TENANT,
    Platform,
    error,
)

from sympozium_api.resources import API_KEYS, Object
from sympozium_archive.audit_log import AuditEntry
from sympozium_domain.audit.audit_trail import OpenChange
from sympozium_domain.callers import key_issuing

FIELDS = {"id", "tenant_id", "user_id", "scopes", "created_at", "revoked_at"}
BODY = {"scopes": ["tools:read"]}


async def made(platform: Platform, token: str | None = None, **body: Any) -> dict[str, Any]:
    answer = await platform.request("POST", "/api-keys", token=token, json=BODY | body)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def ids(platform: Platform, token: str | None = None, **params: Any) -> list[str]:
    answer = await platform.request("GET", "/api-keys", token=token, params=params)
    assert answer.status_code == 200, answer.text
    return [key["id"] for key in answer.json()]


def stored(platform: Platform, key_id: str) -> Object:
    found = platform.context.callers.keys.by_id(NAMESPACE, key_id)
    assert found is not None
    return platform.kubernetes.object(API_KEYS, found.object_name, NAMESPACE)


class TestANewKey:
    async def test_is_shown_once_and_is_of_the_callers_user_and_tenant(self, platform: Platform) -> None:
        key = await made(platform)
        assert key.keys() == FIELDS | {"api_key"}
        assert (key["tenant_id"], key["user_id"], key["scopes"]) == (TENANT, "ada", ["tools:read"])
        assert uuid.UUID(key["id"])
        assert datetime.fromisoformat(key["created_at"]).tzinfo is not None
        assert key["revoked_at"] is None
        body = stored(platform, key["id"])
        assert key["api_key"] not in str(body)
        assert body["spec"]["createdBy"] == "ada"
        for shown in (await platform.request("GET", "/api-keys")).json():
            assert shown.keys() == FIELDS

    async def test_gets_tokens(self, platform: Platform) -> None:
        key = await made(platform)
        answer = await platform.request("POST", "/auth/token", headers={"x-api-key": key["api_key"]})
        listed = await platform.request("GET", "/api-keys", token=answer.json()["token"])
        assert key["id"] in [one["id"] for one in listed.json()]

    async def test_has_no_scope_that_its_maker_lacks(self, platform: Platform) -> None:
        reader, writer = await platform.token("tools:read"), await platform.token("tools:write")
        both = ["tools:read", "tools:write"]
        assert (await made(platform, writer, scopes=both))["scopes"] == both
        for scope in both:
            error(await platform.request("POST", "/api-keys", token=reader, json={"scopes": [scope]}), 403)

    async def test_ends_no_later_than_the_key_that_makes_it(self, platform: Platform) -> None:
        key = await platform.key(user="grace", expires_in=600)
        token = (await platform.request("POST", "/auth/token", headers={"x-api-key": key})).json()["token"]
        child = await made(platform, token)
        assert stored(platform, child["id"])["spec"]["expiresAt"] == "2026-01-01T00:10:00Z"
        platform.clock.advance(601)
        error(await platform.request("POST", "/auth/token", headers={"x-api-key": child["api_key"]}), 401)

    async def test_ends_with_it_however_slow_the_audit_is(
        self, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = await platform.key(user="grace", expires_in=600)
        token = (await platform.request("POST", "/auth/token", headers={"x-api-key": key})).json()["token"]
        begin = platform.context.audit.begin

        async def slow(entry: AuditEntry) -> OpenChange:
            platform.clock.advance(1)
            return await begin(entry)

        monkeypatch.setattr(platform.context.audit, "begin", slow)
        child = await made(platform, token)
        assert stored(platform, child["id"])["spec"]["expiresAt"] == "2026-01-01T00:10:00Z"

    async def test_is_not_made_in_a_tenant_that_has_too_many(
        self, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(key_issuing, "MOST_KEYS", 3)
        await platform.token(namespace=OTHER_NAMESPACE)
        for _ in range(2):
            revoked = (await made(platform))["id"]
            assert (await platform.request("DELETE", f"/api-keys/{revoked}")).status_code == 204
        assert error(await platform.request("POST", "/api-keys", json=BODY), 409)["code"] == "too_many_keys"
        assert await platform.key()  # of an administrator

    async def test_is_refused_for_what_it_may_not_be(self, platform: Platform) -> None:
        wrong: dict[str, dict[str, Any]] = {
            "scopes": {"scopes": "tools:read"},
            "scopes[0]": {"scopes": ["operator.admin"]},
            "user_id": {"scopes": ["tools:read"], "user_id": "grace"},
        }
        for param, body in wrong.items():
            error(await platform.request("POST", "/api-keys", json=body), 422, param)
        for body in ({}, {"scopes": []}):
            error(await platform.request("POST", "/api-keys", json=body), 422, "scopes")
        assert len(platform.kubernetes.names(API_KEYS)) == 1

    async def test_is_not_made_again_by_an_idempotency_key(self, platform: Platform) -> None:
        answer = await platform.request("POST", "/api-keys", json=BODY, headers={"Idempotency-Key": "k"})
        error(answer, 409, "Idempotency-Key")
        assert len(platform.kubernetes.names(API_KEYS)) == 1


class TestTheListOfKeys:
    async def test_has_the_users_own_newest_first(self, platform: Platform) -> None:
        grace = await platform.token(user="grace")
        await platform.token(user="grace", namespace=OTHER_NAMESPACE)
        platform.kubernetes.now = lambda: datetime.fromisoformat("2026-01-02T00:00:00Z")
        second = (await made(platform, grace))["id"]
        found = await ids(platform, grace)
        assert found[0] == second
        assert len(found) == 2
        assert second not in await ids(platform)

    async def test_has_pages_and_their_total(self, platform: Platform) -> None:
        made_ids = {(await made(platform))["id"] for _ in range(3)}
        answer = await platform.request("GET", "/api-keys", params={"limit": 2, "offset": 1})
        assert answer.headers["x-total-count"] == "4"
        assert len(answer.json()) == 2
        assert made_ids <= set(await ids(platform))

    async def test_names_a_wrong_parameter(self, platform: Platform) -> None:
        for name, value in (("limit", 0), ("limit", 201), ("offset", -1), ("page", 1)):
            error(await platform.request("GET", "/api-keys", params={name: value}), 422, name)


class TestARevokedKey:
    async def test_is_shown_when_asked_for_with_its_time(self, platform: Platform) -> None:
        key = (await made(platform))["id"]
        platform.clock.advance(60)
        for _ in range(2):
            assert (await platform.request("DELETE", f"/api-keys/{key}")).status_code == 204
            platform.clock.advance(60)
        assert key not in await ids(platform)
        answer = await platform.request("GET", "/api-keys", params={"include_revoked": "true"})
        [found] = [one for one in answer.json() if one["id"] == key]
        assert found["revoked_at"] == "2026-01-01T00:01:00Z"

    async def test_revoked_with_kubectl_has_a_time_too(self, platform: Platform) -> None:
        key = (await made(platform))["id"]
        name = stored(platform, key)["metadata"]["name"]
        body = await platform.kubernetes.patch(API_KEYS, NAMESPACE, name, {"spec": {"revoked": True}})
        assert body["spec"]["revoked"]
        answer = await platform.request("GET", "/api-keys", params={"include_revoked": "true"})
        [found] = [one for one in answer.json() if one["id"] == key]
        assert found["revoked_at"] is not None

    async def test_is_404_for_others_and_422_for_what_is_no_id(self, platform: Platform) -> None:
        key = (await made(platform))["id"]
        for token in (await platform.token(user="grace"), await platform.token(namespace=OTHER_NAMESPACE)):
            error(await platform.request("DELETE", f"/api-keys/{key}", token=token), 404)
        error(await platform.request("DELETE", f"/api-keys/{uuid.uuid4()}"), 404)
        error(await platform.request("DELETE", "/api-keys/none"), 422, "api_key_id")
        assert key in await ids(platform)
