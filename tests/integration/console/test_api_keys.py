"""API keys: made once, valid by their digest, in one namespace, until they are revoked or expire, on every replica."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from structlog.testing import capture_logs
from tests.fakes.callers import account_token, grant, namespace_object, user_of
from tests.fakes.clock import FakeClock
from tests.fakes.pod import TokenIssuer
from tests.integration.conftest import eventually, instance, listening
from tests.integration.console.conftest import Console, error, run

from sympozium_api.names import LABEL_ID
from sympozium_api.resources import API_KEYS, INSTANCES, RUNS, Object
from sympozium_archive.database import Database
from sympozium_console.console_app import create_app
from sympozium_console.console_context import assemble
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ConsoleSettings
from sympozium_domain.callers import key_check
from sympozium_domain.callers.key_store import KeyStore
from sympozium_domain.callers.static_keys import StaticKeys

log = structlog.get_logger()

PATH = "/api/v1/api-keys"
PEPPER = "p" * 32
WISH = {"name": "ci", "user": "ada", "scopes": ["operator.read"]}


@pytest.fixture
async def keyed(console: Console) -> AsyncIterator[Console]:
    """A console that has a pepper and follows the keys."""
    async with following(console):
        yield console


@asynccontextmanager
async def following(console: Console) -> AsyncIterator[None]:
    console.context.settings.keys.mkdir(exist_ok=True)
    (console.context.settings.keys / "API_KEY_PEPPER").write_text(PEPPER)
    console.clock.advance(2)
    keys = console.context.callers.keys
    loop = asyncio.create_task(console.context.callers.loops["keys"]())
    await eventually(lambda: keys.is_whole)
    yield
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


@asynccontextmanager
async def another_replica(console: Console, folder: Path) -> AsyncIterator[Console]:
    """Another replica in front of the same API server."""
    database = await Database.open_scratch(str(folder / "another.db"))
    settings = ConsoleSettings("sympozium-system", tokens=console.tokens, keys=console.context.settings.keys)
    context = assemble(console.kubernetes, settings, console.clock, database, ConsoleMetrics())
    async with (
        listening(create_app(context)) as url,
        httpx2.AsyncClient(base_url=url, timeout=60, headers={"Authorization": "Bearer secret"}) as http,
    ):
        other = replace(console, http=http, context=context)
        async with following(other):
            yield other
    await database.close()


async def made(console: Console, namespace: str = "default", **changes: Any) -> dict[str, Any]:
    answer = await console.request("POST", PATH, params={"namespace": namespace}, json=WISH | changes)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def ask(console: Console, key: str, path: str = "/api/v1/instances", method: str = "GET", **options: Any) -> Any:
    return await console.request(method, path, headers={"Authorization": f"Bearer {key}"}, **options)


class TestANewKey:
    async def test_is_shown_once_and_stored_as_a_digest(self, keyed: Console) -> None:
        key = await made(keyed, expires_in=3600)
        [name] = keyed.kubernetes.names(API_KEYS)
        stored = keyed.kubernetes.object(API_KEYS, name)
        assert key["key"].startswith(key["prefix"])
        assert key["key"] not in json.dumps(stored)
        assert {field: key[field] for field in ("name", "user", "scopes", "createdBy", "namespace", "revoked")} == {
            "name": "ci",
            "user": "ada",
            "scopes": ["operator.read"],
            "createdBy": "token",
            "namespace": "default",
            "revoked": False,
        }
        assert (key["expiresAt"], key["lastUsedAt"]) == ("2026-01-01T01:00:02Z", None)
        [listed] = (await keyed.request("GET", PATH)).json()["items"]
        assert listed == {field: value for field, value in key.items() if field != "key"}
        assert (await ask(keyed, key["key"])).status_code == 200

    async def test_is_audited_without_it(self, archiving: Console) -> None:
        async with following_pepper(archiving):
            key = await made(archiving)
        items = (await archiving.request("GET", "/api/v1/audit")).json()["items"]
        [change] = [item for item in items if item["kind"] == "APIKey"]
        assert (change["action"], change["resource"], change["status"], change["actor"]) == (
            "create",
            "ci",
            201,
            "token",
        )
        assert change["fields"] == ["spec.name", "spec.user", "spec.scopes"]
        assert key["key"] not in json.dumps(items)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"expires_in": -1}, "expires_in"),
            ({"expires_in": 0}, "expires_in"),
            ({"expires_in": True}, "expires_in"),
            ({"expires_in": "1h"}, "expires_in"),
            ({"expires_in": 10**12}, "expires_in"),
            ({"name": ""}, "name"),
            ({"name": "  "}, "name"),
            ({"name": "n" * 101}, "name"),
            ({"name": 1}, "name"),
            ({"user": " "}, "user"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["root"]}, "scopes.0"),
            ({"scopes": "operator.read"}, "scopes"),
            ({"more": 1}, "more"),
        ],
    )
    async def test_with_a_wrong_field_is_refused_and_the_field_is_named(
        self, keyed: Console, body: dict[str, Any], field: str
    ) -> None:
        refused = error(await keyed.request("POST", PATH, json=WISH | body), 400)
        assert [one["field"] for one in refused["fields"]] == [field]
        assert keyed.kubernetes.names(API_KEYS) == []

    async def test_takes_a_pepper(self, console: Console) -> None:
        refused = error(await console.request("POST", PATH, json=WISH), 503)
        assert (refused["reason"], "API_KEY_PEPPER" in refused["message"]) == ("ApiKeysOff", True)
        assert "API keys are off" in error(await ask(console, key_check.new_key()), 401)["message"]

    async def test_is_valid_at_once_on_another_replica(self, keyed: Console, tmp_path: Path) -> None:
        async with another_replica(keyed, tmp_path) as other:
            for _ in range(20):
                key = await made(keyed)
                assert (await ask(other, key["key"])).status_code == 200


def following_pepper(console: Console) -> Any:
    """Give a console whose loops run a pepper."""

    @asynccontextmanager
    async def pepper() -> AsyncIterator[None]:
        console.context.settings.keys.mkdir(exist_ok=True)
        (console.context.settings.keys / "API_KEY_PEPPER").write_text(PEPPER)
        console.clock.advance(2)
        await eventually(lambda: console.context.callers.keys.is_whole)
        yield

    return pepper()


class TestAKey:
    async def test_is_refused_on_every_replica_within_two_seconds_once_it_is_revoked(
        self, keyed: Console, tmp_path: Path
    ) -> None:
        async with another_replica(keyed, tmp_path) as other:
            slowest = 0.0
            for _ in range(100):
                key = await made(keyed)
                assert (await ask(other, key["key"])).status_code == 200
                assert (await keyed.request("DELETE", f"{PATH}/{key['id']}")).status_code == 204
                began = time.monotonic()
                while (await ask(other, key["key"])).status_code != 401:
                    assert time.monotonic() - began < 2 * 3  # on a machine that is busy with other tests
                slowest = max(slowest, time.monotonic() - began)
                assert error(await ask(keyed, key["key"]), 401)["message"] == "The key is revoked."
            log.info("refused on another replica", slowest_ms=round(slowest * 1000, 1), n=100)

    async def test_stays_revoked(self, keyed: Console) -> None:
        key = await made(keyed)
        for _ in range(2):
            assert (await keyed.request("DELETE", f"{PATH}/{key['id']}")).status_code == 204
        assert (await keyed.request("GET", PATH)).json() == {"items": []}
        [listed] = (await keyed.request("GET", f"{PATH}?include_revoked=true")).json()["items"]
        assert (listed["id"], listed["revoked"]) == (key["id"], True)
        error(await keyed.request("DELETE", f"{PATH}/{key['id']}?namespace=other"), 404)

    async def test_is_refused_after_its_object_is_deleted_and_after_a_watch_broke(self, keyed: Console) -> None:
        first, second = await made(keyed), await made(keyed)
        keyed.kubernetes.expire_watches()
        for name in keyed.kubernetes.names(API_KEYS):
            if keyed.kubernetes.object(API_KEYS, name)["metadata"]["labels"]["sympozium.ai/id"] == first["id"]:
                keyed.kubernetes.remove(API_KEYS, name)
        async with asyncio.timeout(60):
            while (await ask(keyed, first["key"])).status_code == 200:
                await asyncio.sleep(0.05)
        assert (await ask(keyed, second["key"])).status_code == 200

    async def test_expires_by_the_clock(self, keyed: Console) -> None:
        key = await made(keyed, expires_in=60)
        keyed.clock.advance(58)
        assert (await ask(keyed, key["key"])).status_code == 200
        keyed.clock.advance(2)
        refused = await ask(keyed, key["key"])
        assert error(refused, 401)["message"] == "The key has expired."
        assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    async def test_is_verified_by_several_peppers_and_made_with_the_first(self, keyed: Console) -> None:
        old = await made(keyed)
        folder = keyed.context.settings.keys
        (folder / "API_KEY_PEPPER_OLD").write_text(PEPPER)
        (folder / "API_KEY_PEPPER").write_text("q" * 32)
        keyed.clock.advance(2)
        new = await made(keyed)
        for key in (old, new):
            assert (await ask(keyed, key["key"])).status_code == 200
        (folder / "API_KEY_PEPPER_OLD").unlink()
        keyed.clock.advance(2)
        assert [(await ask(keyed, key["key"])).status_code for key in (old, new)] == [401, 200]

    async def test_that_is_copied_means_what_the_oldest_says(self, keyed: Console) -> None:
        key = await made(keyed)
        [name] = keyed.kubernetes.names(API_KEYS)
        copy: Object = keyed.kubernetes.object(API_KEYS, name)
        spec = copy["spec"] | {"scopes": ["operator.admin"], "user": "mallory"}
        metadata = {"name": "copy", "namespace": "other", "creationTimestamp": "2027-01-01T00:00:00Z"}
        keyed.kubernetes.put({"apiVersion": copy["apiVersion"], "kind": "APIKey", "metadata": metadata, "spec": spec})
        await eventually(lambda: len(keyed.context.callers.keys.all(None)) == 2)
        error(await ask(keyed, key["key"], f"{PATH}?namespace=other"), 403)


class TestAKeyThatATenantWrote:
    """An APIKey whose text is known, written again with kubectl by somebody who has the key."""

    async def test_has_no_id_of_another_caller(self, keyed: Console) -> None:
        restored = "11111111-2222-4333-8444-555555555555"
        await made(keyed, namespace="team")
        for label in ("token", "API_AUTH_TOKEN", "x" * 63, restored):
            changed = await rewritten(keyed, labels={LABEL_ID: label})
            expected = label if label == restored else changed["metadata"]["uid"]
            await eventually(lambda: keyed.context.callers.keys.all(None)[0].id == expected)  # noqa: B023 - awaited here

    @pytest.mark.parametrize(
        ("expiry", "shown"),
        [
            ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59Z"),
            ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z"),
        ],
    )
    async def test_takes_no_list_away_by_its_expiry(self, keyed: Console, expiry: str, shown: str) -> None:
        await made(keyed, namespace="team")
        await rewritten(keyed, expiresAt=expiry)
        await eventually(lambda: keyed.context.callers.keys.all(None)[0].expires_at is not None)
        answer = await keyed.request("GET", PATH)
        assert answer.status_code == 200, answer.text
        assert [item["expiresAt"] for item in answer.json()["items"]] == [shown]


async def rewritten(console: Console, labels: dict[str, str] | None = None, **spec: str) -> Object:
    """Change the only key of the namespace ``team``, as a new object could have it."""
    [name] = console.kubernetes.names(API_KEYS)
    key = console.kubernetes.object(API_KEYS, name, "team")
    metadata = key["metadata"] | ({"labels": labels} if labels else {})
    return console.kubernetes.put(key | {"metadata": metadata, "spec": key["spec"] | spec})


class TestAnUnknownKey:
    async def test_is_waited_for_once_in_ten_seconds(self, keyed: Console) -> None:
        key = key_check.new_key()
        began = time.monotonic()
        refused = await ask(keyed, key)
        assert time.monotonic() - began >= key_check.NEW_KEY_SECONDS
        assert refused.headers["www-authenticate"] == "Bearer"
        began = time.monotonic()
        error(await ask(keyed, key), 401)
        assert time.monotonic() - began < key_check.NEW_KEY_SECONDS

    async def test_is_remembered_within_bounds(self) -> None:
        clock = FakeClock()
        unknown = key_check.UnknownKeys(clock.monotonic)
        for number in range(key_check.MOST_UNKNOWN + 10):
            unknown.add(str(number))
        assert len(unknown) == key_check.MOST_UNKNOWN
        assert "0" not in unknown
        assert "10009" in unknown
        clock.advance(key_check.UNKNOWN_SECONDS)
        assert "10009" not in unknown


class TestScopes:
    @pytest.mark.parametrize(
        ("scopes", "reads", "cancels", "makes"),
        [
            (["operator.read"], 200, 403, 403),
            (["operator.write"], 200, 202, 403),
            (["operator.admin"], 200, 202, 201),
            (["operator.approvals", "operator.pairing"], 403, 403, 403),
            (["tools:read", "tools:write"], 403, 403, 403),
        ],
    )
    async def test_open_what_they_say_in_the_keys_namespace_alone(
        self, keyed: Console, scopes: list[str], reads: int, cancels: int, makes: int
    ) -> None:
        keyed.kubernetes.put(run("r", phase="Running"))
        keyed.kubernetes.put(instance() | {"metadata": {"name": "theirs", "namespace": "other"}})
        key = (await made(keyed, scopes=scopes))["key"]
        assert (await ask(keyed, key, "/api/v1/runs/r")).status_code == reads
        listed = await ask(keyed, key)
        assert listed.status_code == reads
        assert "theirs" not in listed.text
        assert (await ask(keyed, key, "/api/v1/runs/r/cancel", "POST")).status_code == cancels
        wish = WISH | {"scopes": scopes}
        assert (await ask(keyed, key, PATH, "POST", json=wish)).status_code == makes
        for path in ("/api/v1/instances?namespace=other", f"{PATH}?namespace=other", "/api/v1/runs/r?namespace=other"):
            refused = error(await ask(keyed, key, path), 403)["message"]
            assert "in namespace other" in refused
        for method in ("PUT", "PATCH", "DELETE"):
            body = {"json": {"spec": {"maxQueuedRuns": 1}}} if method != "DELETE" else {}
            error(await ask(keyed, key, "/api/v1/instances/demo", method, **body), 403)
        assert "demo" in keyed.kubernetes.names(INSTANCES)

    @pytest.mark.parametrize(
        ("wish", "field"),
        [
            ({"scopes": ["operator.admin", "tools:read"]}, "scopes"),
            ({"user": "grace"}, "user"),
            ({"expires_in": None}, "expires_in"),
            ({"expires_in": 7200}, "expires_in"),
        ],
    )
    async def test_no_key_makes_one_with_more_than_it_has(
        self, keyed: Console, wish: dict[str, Any], field: str
    ) -> None:
        key = (await made(keyed, scopes=["operator.admin"], expires_in=3600))["key"]
        held = WISH | {"scopes": ["operator.write", "operator.pairing"], "expires_in": 60}
        assert (await ask(keyed, key, PATH, "POST", json=held)).status_code == 201
        refused = error(await ask(keyed, key, PATH, "POST", json=held | wish), 403)
        assert [one["field"] for one in refused["fields"]] == [field]

    async def test_of_rbac_make_and_revoke_keys_of_a_namespace(self, keyed: Console) -> None:
        issuer = TokenIssuer(keyed.kubernetes)
        grant(keyed.kubernetes, user_of("team", "owner"), "team", plurals=("apikeys",))
        keyed.kubernetes.put(namespace_object("team"))
        token = account_token(issuer, "team", "owner")
        await made(keyed)
        answer = await ask(keyed, token, f"{PATH}?namespace=team", "POST", json=WISH)
        assert answer.status_code == 201
        assert answer.json()["createdBy"] == user_of("team", "owner")
        assert [item["namespace"] for item in (await ask(keyed, token, PATH)).json()["items"]] == ["team"]
        assert (await ask(keyed, token, f"{PATH}/{answer.json()['id']}?namespace=team", "DELETE")).status_code == 204


class TestTheUserOfAKey:
    async def test_is_in_the_audit_and_in_the_runs_that_it_starts(self, archiving: Console) -> None:
        async with following_pepper(archiving):
            key = await made(archiving, scopes=["operator.write"])
            archiving.kubernetes.put(run("r", phase="Running"))
            assert (await ask(archiving, key["key"], "/api/v1/runs/r/cancel", "POST")).status_code == 202
            watches = archiving.context.instance_runs.watches
            await eventually(lambda: all(watch.synced for watch in watches.values()))
            task = {"agentRef": "demo", "task": "hello"}
            started = await ask(archiving, key["key"], "/api/v1/runs", "POST", json=task)
            assert started.status_code == 201, started.text
            found = archiving.kubernetes.object(RUNS, started.json()["metadata"]["name"])
        assert found["spec"]["caller"]["user"] == "ada"
        [change] = (await archiving.request("GET", "/api/v1/audit?user=ada")).json()["items"]
        assert (change["actor"], change["action"], change["resource"]) == (key["id"], "cancel", "r")


class TestTheLastUse:
    async def test_is_in_the_archive_at_most_once_a_minute(self, archiving: Console) -> None:
        async with following_pepper(archiving):
            key = await made(archiving)
            seen = [await last_use(archiving, key["key"])]
            for seconds in (30, 31):
                archiving.clock.advance(seconds)
                seen.append(await last_use(archiving, key["key"], wait=seconds == 31, former=seen[0]))
        assert seen[0] == seen[1] != seen[2]


async def last_use(console: Console, key: str, *, wait: bool = True, former: str | None = None) -> str | None:
    assert (await ask(console, key)).status_code == 200
    use: str | None = former
    async with asyncio.timeout(60):
        while use == former:
            await asyncio.sleep(0.1)
            [item] = (await console.request("GET", PATH)).json()["items"]
            use = item["lastUsedAt"]
            if not wait:
                break
    return use


class TestKeysOfTheVariable:
    ENTRY = {"tenant_id": "t-1", "user_id": "grace", "scopes": ["operator.read"]}

    async def test_are_valid_beside_the_others_and_read_again(self, keyed: Console, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({"first-key": self.ENTRY}))
        labels = {"sympozium.ai/tenant-id": "t-1"}
        keyed.kubernetes.put(namespace_object("default", **labels))
        use(keyed, str(file))
        assert (await ask(keyed, "first-key")).status_code == 200
        file.write_text(json.dumps({"second-key": self.ENTRY, "third-key": self.ENTRY}))
        keyed.clock.advance(2)
        assert [(await ask(keyed, f"{name}-key")).status_code for name in ("first", "second")] == [401, 200]
        file.write_text("{")
        keyed.clock.advance(2)
        assert (await ask(keyed, "second-key")).status_code == 200
        file.unlink()
        keyed.clock.advance(2)
        assert (await ask(keyed, "third-key")).status_code == 200
        assert (await ask(keyed, "third-key", "/api/v1/instances?namespace=other")).status_code == 403

    async def test_of_a_tenant_that_is_not_there_are_refused_and_logged_without_the_key(self, keyed: Console) -> None:
        wrong = self.ENTRY | {"scopes": ["root"]}
        with capture_logs() as logs:
            keys = use(keyed, json.dumps({"lost-key": self.ENTRY, "wrong-key": wrong, "": self.ENTRY}))
            reporting = asyncio.create_task(keys.run())
            await eventually(lambda: any("tenant" in line for line in logs))
            reporting.cancel()
            for key in ("lost-key", "wrong-key", "x"):
                error(await ask(keyed, key), 401)
        assert any(line.get("tenant") == "t-1" for line in logs)
        assert any("scopes.0" in line.get("fields", ()) for line in logs)
        assert "-key" not in json.dumps(logs, default=str)

    async def test_a_tenant_may_be_named_by_the_uid_of_its_namespace(self, keyed: Console) -> None:
        made_namespace = keyed.kubernetes.put(namespace_object("default"))
        use(keyed, json.dumps({"a-key": self.ENTRY | {"tenant_id": made_namespace["metadata"]["uid"]}}))
        assert (await ask(keyed, "a-key")).status_code == 200

    async def test_a_key_that_no_header_can_have_takes_no_other_away(self, keyed: Console) -> None:
        keyed.kubernetes.put(namespace_object("default", **{"sympozium.ai/tenant-id": "t-1"}))
        use(keyed, json.dumps({"\ud800": self.ENTRY, "a-key": self.ENTRY}))
        assert (await ask(keyed, "a-key")).status_code == 200


def use(console: Console, source: str) -> StaticKeys:
    """Give a console keys of the variable AUTH_API_KEYS."""
    callers = console.context.callers
    keys = StaticKeys(source, callers.rights._namespaces, console.clock)
    checks = (keys.caller, *callers.authenticator.key_checks)
    object.__setattr__(callers.authenticator, "key_checks", checks)
    return keys


class TestFigures:
    async def test_a_check_takes_a_tenth_of_a_millisecond_at_most_with_ten_thousand_keys(self, keyed: Console) -> None:
        key = await made(keyed)
        store: KeyStore = keyed.context.callers.keys
        [record] = store.all(None)
        for number in range(10_000):
            store.put(replace(record, uid=f"u-{number}", digest=f"{number:064x}", created_at=record.created_at + 1))
        check = keyed.context.callers.authenticator.key_checks[-1]
        times = []
        for _ in range(1000):
            began = time.process_time()
            assert await check(key["key"])
            times.append(time.process_time() - began)
        p50 = sorted(times)[500] * 1000
        log.info("check of a key", p50_ms_of_processor_time=round(p50, 4), keys=10_000, n=1000)
        assert p50 <= 0.1
