"""The audit of a tenant: its changes and its refused calls, read by its own callers only."""

import asyncio
import uuid
from typing import Any

import pytest
from tests.integration.platform.conftest import OTHER_NAMESPACE, TENANT, Platform, error

from sympozium_archive.audit_log import AuditEntry, AuditLog
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_domain.audit import audit_trail
from sympozium_domain.audit.audit_trail import AuditUnavailable

FIELDS = {
    "id",
    "tenant_id",
    "user_id",
    "action",
    "resource_type",
    "resource_id",
    "trace_id",
    "idempotency_key",
    "status",
    "created_at",
}
BODY = {"scopes": ["tools:read"]}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def entries(platform: Platform, token: str | None = None, **params: Any) -> list[dict[str, Any]]:
    await platform.context.audit.flush()
    answer = await platform.request("GET", "/audit", token=token, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


class TestAChange:
    async def test_is_recorded_with_its_caller_object_and_trace(self, archiving: Platform) -> None:
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        key = (await archiving.request("POST", "/api-keys", json=BODY, headers=headers)).json()["id"]
        [entry] = await entries(archiving)
        assert entry.keys() == FIELDS
        assert uuid.UUID(entry["id"])
        assert entry["tenant_id"] == TENANT
        assert entry["user_id"] == "ada"
        assert (entry["action"], entry["resource_type"], entry["resource_id"]) == ("api_key.create", "api_key", key)
        assert uuid.UUID(entry["trace_id"]).hex == TRACE
        assert (entry["status"], entry["idempotency_key"]) == ("succeeded", None)

    async def test_is_found_by_its_object_and_action(self, archiving: Platform) -> None:
        first, second = [(await archiving.request("POST", "/api-keys", json=BODY)).json()["id"] for _ in range(2)]
        assert (await archiving.request("DELETE", f"/api-keys/{first}")).status_code == 204
        assert [one["action"] for one in await entries(archiving, resource_id=first)] == [
            "api_key.delete",
            "api_key.create",
        ]
        found = await entries(archiving, action="api_key.create")
        assert [one["resource_id"] for one in found] == [second, first]
        answer = await archiving.request("GET", "/audit", params={"limit": 1, "offset": 1})
        assert answer.headers["x-total-count"] == "3"
        assert [one["resource_id"] for one in answer.json()] == [second]

    async def test_is_not_made_while_the_audit_cannot_be_written(
        self, archiving: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(_: AuditEntry) -> None:
            raise AuditUnavailable("busy")

        monkeypatch.setattr(archiving.context.audit, "begin", away)
        before = len(archiving.kubernetes.writes)
        answer = await archiving.request("POST", "/api-keys", json=BODY)
        assert error(answer, 503)["code"] == "audit_unavailable"
        assert "retry-after" in answer.headers
        assert len(archiving.kubernetes.writes) == before


class TestARefusedCall:
    async def test_is_recorded_with_what_it_wanted(self, archiving: Platform) -> None:
        reader = await archiving.token("tools:read", user="grace")
        error(await archiving.request("POST", "/api-keys", token=reader, json=BODY), 403)
        error(await archiving.request("POST", "/api-keys", json={"scopes": []}), 422, "scopes")
        error(
            await archiving.request("POST", "/api-keys", json=BODY, headers={"Idempotency-Key": "k"}),
            409,
            "Idempotency-Key",
        )
        wanted = str(uuid.uuid4())
        error(await archiving.request("DELETE", f"/api-keys/{wanted}"), 404)
        found = await entries(archiving)
        assert [(one["user_id"], one["action"], one["resource_id"], one["status"]) for one in found] == [
            ("ada", "api_key.delete", wanted, "refused"),
            ("ada", "api_key.create", None, "refused"),
            ("ada", "api_key.create", None, "refused"),
            ("grace", "api_key.create", None, "refused"),
        ]
        assert found[1]["idempotency_key"] == "k"

    async def test_with_a_revoked_key_is_recorded_a_bounded_number_of_times(
        self, archiving: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody who has lost its key fills the archive, or the queue in which other entries wait."""
        monkeypatch.setattr(audit_trail, "_MOST_OF_ENDED", 2)
        keys = [(await archiving.request("POST", "/api-keys", json=BODY)).json() for _ in range(2)]
        for key in keys:
            assert (await archiving.request("DELETE", f"/api-keys/{key['id']}")).status_code == 204
        for key in (*[keys[0]] * 4, keys[1]):
            error(await archiving.request("POST", "/auth/token", headers={"x-api-key": key["api_key"]}), 401)
        async with asyncio.timeout(60):
            while (number := len(await entries(archiving, action="token.create"))) < 3:
                await asyncio.sleep(0.01)
        assert number == 3

    async def test_with_a_revoked_key_is_recorded_in_the_keys_tenant(self, archiving: Platform) -> None:
        key = (await archiving.request("POST", "/api-keys", json=BODY)).json()
        await archiving.request("DELETE", f"/api-keys/{key['id']}")
        error(await archiving.request("POST", "/auth/token", headers={"x-api-key": key["api_key"]}), 401)
        token = archiving.signed(key_id=key["id"])
        error(await archiving.request("GET", "/api-keys", token=token), 401)
        found = await entries(archiving)
        assert [(one["action"], one["user_id"], one["status"]) for one in found[:2]] == [
            ("api_key.list", None, "refused"),
            ("token.create", None, "refused"),
        ]

    async def test_of_nobody_is_not_recorded(self, archiving: Platform) -> None:
        error(await archiving.request("POST", "/api-keys", token="no", json=BODY), 401)
        error(await archiving.request("POST", "/auth/token", json={"api_key": "no"}), 401)
        assert await entries(archiving) == []


async def test_shows_nothing_of_other_tenants_and_all_of_the_own(archiving: Platform) -> None:
    other = await archiving.token(namespace=OTHER_NAMESPACE)
    await archiving.request("POST", "/api-keys", json=BODY)
    assert await entries(archiving, other) == []
    entry = AuditEntry("umbrella", "admin", None, "api", "update", "SympoziumInstance", "helper")
    await AuditLog(archiving.context.database).begin(entry)
    [found] = await entries(archiving, other)
    assert (found["resource_id"], found["user_id"], found["status"]) == ("helper", None, "unknown")


async def test_takes_no_other_method(archiving: Platform) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await archiving.request(method, "/audit", json={})
        assert error(answer, 405)["code"] == "method_not_allowed"
        assert answer.headers["allow"] == "GET"


async def test_is_off_without_an_archive(platform: Platform) -> None:
    assert error(await platform.request("GET", "/audit"), 404)["code"] == "archive_disabled"


async def test_says_that_the_archive_is_away(archiving: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseUnavailable("refused", "away")

    monkeypatch.setattr(archiving.context.database, "reading", away)
    answer = await archiving.request("GET", "/audit")
    assert error(answer, 503)["code"] == "database_unavailable"
