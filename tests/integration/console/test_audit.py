"""The audit: no change without a row before it, its outcome after it, names and never values; on both databases."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from structlog.testing import capture_logs
from tests.fakes.callers import account_token
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import TokenIssuer
from tests.integration.conftest import eventually
from tests.integration.console.conftest import DEMO, SPEC, Console, error, run

from sympozium_api.resources import INSTANCES, SKILL_PACKS
from sympozium_archive.audit_log import AuditEntry, AuditLog
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_console.console_app import create_app
from sympozium_console.routes.audited import CHANGING_METHODS
from sympozium_domain.audit import audit_trail

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def changes(console: Console, **query: Any) -> list[dict[str, Any]]:
    response = await console.request("GET", "/api/v1/audit", params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


class Away:
    """A database that stopped answering: how each write fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failure: Exception | None = DatabaseUnavailable("full", "no space left")
        for name in ("begin", "outcome", "refused"):
            monkeypatch.setattr(AuditLog, name, self._failing(getattr(AuditLog, name)))

    def _failing(self, write: Any) -> Any:
        async def failing(*words: Any) -> Any:
            if self.failure:
                raise self.failure
            return await write(*words)

        return failing


class TestChanges:
    async def test_a_change_is_recorded_with_who_what_and_how_it_ended(self, archiving: Console) -> None:
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "Idempotency-Key": "once"}
        patch = {"spec": {"memory": {"systemPrompt": "be kind"}}}
        assert (await archiving.request("PATCH", DEMO, json=patch, headers=headers)).status_code == 200
        [change] = await changes(archiving)
        assert change["at"] <= change["endedAt"]
        assert {key: value for key, value in change.items() if key not in ("id", "at", "endedAt")} == {
            "namespace": "default",
            "actor": "token",
            "user": None,
            "surface": "api",
            "action": "patch",
            "kind": "SympoziumInstance",
            "resource": "demo",
            "status": 200,
            "outcome": "done",
            "traceId": TRACE,
            "idempotencyKey": "once",
            "fields": ["spec.memory.systemPrompt"],
        }

    async def test_a_refused_change_is_recorded_with_its_status(self, archiving: Console) -> None:
        archiving.kubernetes.refuse("patch", INSTANCES, api_error(403, "Forbidden", "quota"))
        assert (await archiving.request("PATCH", DEMO, json={"maxQueuedRuns": 1})).status_code == 403
        assert (await archiving.request("DELETE", "/api/v1/runs/absent?namespace=team")).status_code == 404
        assert [(c["status"], c["outcome"], c["namespace"], c["kind"]) for c in await changes(archiving)] == [
            (404, "refused", "team", "AgentRun"),
            (403, "refused", "default", "SympoziumInstance"),
        ]

    async def test_no_value_and_no_free_key_is_recorded(self, archiving: Console) -> None:
        secret = "s3cr3t"
        agent = {"model": secret, "env": {secret: secret}, "providerHeaders": {secret: secret}}
        body = {
            "metadata": {"annotations": {secret: secret}, "labels": {secret: secret}},
            "spec": {"agents": {"default": agent}, "skills": [{"skillPackRef": secret, "params": {secret: secret}}]},
        }
        await archiving.request("PUT", DEMO, json=body)
        await archiving.request("PATCH", DEMO, json={secret: 1, "spec": {secret: {secret: secret}}})
        stored = await changes(archiving)
        assert len(stored) == 2
        assert secret not in json.dumps(stored)
        assert stored[1]["fields"] == [
            "metadata.labels",
            "metadata.annotations",
            "spec.agents.default.model",
            "spec.agents.default.env",
            "spec.agents.default.providerHeaders",
            "spec.skills[].skillPackRef",
            "spec.skills[].params",
        ]

    async def test_every_changing_route_is_audited(self, archiving: Console) -> None:
        """Every route with a changing method, also one that is written later, but those whose change is a run that says who made it."""
        routes = list(iter_route_contexts(create_app(archiving.context).routes))
        changing = [
            (method, str(route.path))
            for route in routes
            for method in CHANGING_METHODS & set(route.methods or ())
            if str(route.path).startswith("/api/")
        ]
        for path in ("/api/v1/runs", "/api/v1/runs/{name}/repeat"):
            changing.remove(("POST", path))
        assert len(changing) >= 5
        for method, path in changing:
            address = path.replace("{name}", "absent").replace("{id}", "absent")
            sent = {"spec": SPEC, "name": "absent"} if path.endswith("api-keys") else {"spec": SPEC}
            body = {"json": sent} if method in ("PUT", "PATCH", "POST") else {}
            answer = await archiving.request(method, address, **body)
            [newest, *_] = await changes(archiving, limit=1)
            resource = "default" if path.endswith("/config") else "absent"
            assert (newest["resource"], newest["status"]) == (resource, answer.status_code), (method, path)

    async def test_a_run_that_is_started_has_no_row_and_a_refused_caller_has_one(self, archiving: Console) -> None:
        await eventually(lambda: all(watch.synced for watch in archiving.context.instance_runs.watches.values()))
        task = {"agentRef": "demo", "task": "hello"}
        assert (await archiving.request("POST", "/api/v1/runs", json=task)).status_code == 201
        assert await changes(archiving) == []
        (archiving.tokens / "token-new").write_text("fresh")
        (archiving.tokens / "token").unlink()
        archiving.clock.advance(2)
        assert (await archiving.request("POST", "/api/v1/runs", json=task)).status_code == 401
        archiving.http.headers["Authorization"] = "Bearer fresh"
        async with asyncio.timeout(60):
            while not (stored := await changes(archiving)):
                await asyncio.sleep(0.01)
        assert [(c["actor"], c["action"], c["kind"], c["status"]) for c in stored] == [
            ("token", "create", "AgentRun", 401)
        ]

    async def test_reads_and_requests_that_are_no_change_have_no_row(self, archiving: Console) -> None:
        await archiving.request("GET", DEMO)
        await archiving.request("DELETE", "/api/v1/instances")
        await archiving.request("PATCH", DEMO, content=b"{", headers={"Content-Type": "application/json"})
        await archiving.request("PATCH", DEMO, json={}, headers={"Authorization": "Bearer wrong"})
        assert await changes(archiving) == []


class TestDatabaseAway:
    async def test_a_change_that_cannot_be_recorded_is_not_made(
        self, archiving: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Away(monkeypatch)
        archiving.kubernetes.put(run("w1", phase="Running"))
        for method, path in (("PATCH", DEMO), ("DELETE", DEMO), ("POST", "/api/v1/runs/w1/cancel")):
            refused = await archiving.request(method, path, **({"json": {}} if method == "PATCH" else {}))
            assert error(refused, 503)["reason"] == "AuditUnavailable"
            assert error(refused, 503)["code"] == "UNAVAILABLE"
            assert int(refused.headers["retry-after"]) > 0
        assert archiving.kubernetes.writes == []
        assert (await archiving.request("GET", DEMO)).status_code == 200

    async def test_a_change_does_not_wait_longer_than_its_bound(
        self, archiving: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_trail, "WRITE_SECONDS", 0.2)
        database = archiving.context.database
        async with database.writing() as connection:  # in SQLite, the only writer
            if not database.settings.is_sqlite:
                await connection.exec_driver_sql("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
            assert error(await archiving.request("DELETE", DEMO), 503)["reason"] == "AuditUnavailable"
        assert archiving.kubernetes.writes == []

    async def test_a_write_that_cannot_be_given_up_holds_nobody_up(
        self, archiving: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def hang(_: AuditLog, __: AuditEntry) -> str:
            while True:  # as a driver that closes its connection to a server which hangs
                with contextlib.suppress(asyncio.CancelledError):
                    await may_end.wait()
                    return ""

        may_end = asyncio.Event()
        monkeypatch.setattr(AuditLog, "begin", hang)
        monkeypatch.setattr(audit_trail, "WRITE_SECONDS", 0.05)
        assert error(await archiving.request("DELETE", DEMO), 503)["reason"] == "AuditUnavailable"
        may_end.set()
        assert archiving.kubernetes.writes == []

    async def test_an_outcome_that_cannot_be_recorded_comes_later(
        self, archiving: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_trail, "_RETRY_SECONDS", 0.01)
        away = Away(monkeypatch)
        away.failure, begin = None, AuditLog.begin

        async def begin_then_go(log: AuditLog, entry: AuditEntry) -> str:
            change_id = await begin(log, entry)
            away.failure = DatabaseUnavailable("unreachable", "gone")
            return change_id

        monkeypatch.setattr(AuditLog, "begin", begin_then_go)
        assert (await archiving.request("DELETE", DEMO)).status_code == 204
        [change] = await changes(archiving)
        assert (change["status"], change["outcome"], change["endedAt"]) == (None, "unknown", None)
        away.failure = None
        async with asyncio.timeout(60):
            while (await changes(archiving))[0]["status"] != 204:
                await asyncio.sleep(0.01)


class TestRefusedCalls:
    async def test_a_removed_key_and_a_missing_right_are_recorded(self, archiving: Console) -> None:
        assert (await archiving.request("GET", DEMO)).status_code == 200
        archiving.kubernetes.refuse(
            "list", SKILL_PACKS, api_error(403, "Forbidden", "no right")
        )  # runs: the archiver's too
        assert (await archiving.request("GET", "/api/v1/skills")).status_code == 403
        (archiving.tokens / "token-new").write_text("fresh")
        (archiving.tokens / "token").unlink()
        archiving.clock.advance(2)
        assert (await archiving.request("DELETE", DEMO)).status_code == 401
        archiving.http.headers["Authorization"] = "Bearer fresh"
        async with asyncio.timeout(60):
            while len(stored := await changes(archiving)) < 2:
                await asyncio.sleep(0.01)
        assert [(c["actor"], c["action"], c["kind"], c["resource"], c["status"]) for c in stored] == [
            ("token", "delete", "SympoziumInstance", "demo", 401),
            ("token", "list", "SkillPack", None, 403),
        ]

    async def test_a_refused_call_with_a_body_in_yaml_is_recorded_as_any_other(self, archiving: Console) -> None:
        token = account_token(TokenIssuer(archiving.kubernetes), "team", "reader")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/yaml"}
        refused = await archiving.request("PATCH", f"{DEMO}?namespace=team", content=b"title: x", headers=headers)
        assert refused.status_code == 403
        async with asyncio.timeout(60):
            while not (stored := await changes(archiving)):
                await asyncio.sleep(0.01)
        assert [(c["action"], c["kind"], c["namespace"], c["resource"]) for c in stored] == [
            ("patch", "SympoziumInstance", "team", "demo")
        ]

    async def test_refused_calls_beyond_the_queue_are_dropped_and_counted(
        self, archiving: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Away(monkeypatch)
        entry = AuditEntry("default", "token", None, "api", "get", "AgentRun", "w1")
        for _ in range(1100):
            archiving.context.audit.refuse(entry, 403)
        await eventually(lambda: archiving.context.metrics.audit_dropped._value.get() >= 99)


class TestWithoutAnArchive:
    async def test_a_change_is_a_line_of_the_log(self, console: Console) -> None:
        with capture_logs() as lines:
            await console.request("PATCH", DEMO, json={"maxQueuedRuns": 2})
        [line] = [line for line in lines if line["event"] == "change"]
        assert (line["actor"], line["action"], line["resource"], line["status"]) == ("token", "patch", "demo", 200)
        assert line["fields"] == ["spec.maxQueuedRuns"]

    async def test_the_audit_says_that_there_is_no_archive(self, console: Console) -> None:
        refused = error(await console.request("GET", "/api/v1/audit"), 404)
        assert refused["reason"] == "ArchiveDisabled"
        assert "archive.enabled" in refused["message"]


class TestQuery:
    async def test_changes_are_found_by_their_filters_newest_first(self, archiving: Console) -> None:
        for namespace, name in (("default", "a"), ("team", "b"), ("team", "c")):
            await archiving.request("DELETE", f"/api/v1/instances/{name}?namespace={namespace}")
        await archiving.request("DELETE", "/api/v1/runs/c?namespace=team")
        found = [c["resource"] for c in await changes(archiving)]
        assert found == ["c", "c", "b", "a"]
        assert [c["resource"] for c in await changes(archiving, namespace="team", limit=2)] == ["c", "c"]
        assert [c["resource"] for c in await changes(archiving, offset=2)] == ["b", "a"]
        assert len(await changes(archiving, resource="c", action="delete", actor="token")) == 2
        assert await changes(archiving, actor="other") == []
        assert await changes(archiving, status=200) == []
        middle = (await changes(archiving))[1]["at"]
        assert len(await changes(archiving, **{"from": middle})) == 2
        assert len(await changes(archiving, to=middle)) == 2

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("nonsense=1", "nonsense"),
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("offset=-1", "offset"),
            ("from=yesterday", "from"),
            ("to=2026-11-29", "to"),
            ("to=2026-13-29T10:00:00Z", "to"),
            ("from=1700000000", "from"),
            ("actor=", "actor"),
            ("status=done", "status"),
            ("namespace=UPPER", "namespace"),
        ],
    )
    async def test_a_wrong_parameter_is_named(self, console: Console, query: str, named: str) -> None:
        refused = error(await console.request("GET", f"/api/v1/audit?{query}"), 400)
        assert [field["field"] for field in refused["fields"]] == [named]
