"""Service accounts as callers: their tokens, and that they see and change what RBAC lets them, on every route."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import jwt
import pytest
from fastapi.routing import iter_route_contexts
from tests.fakes.callers import VERBS, account_token, grant, namespace_object, user_of
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import TokenIssuer
from tests.integration.conftest import instance
from tests.integration.console.conftest import SPEC, Console, error, run
from tests.integration.console.run_logs_world import with_log
from tests.integration.console.test_following import Stream

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import INSTANCES, LOCAL_ACCESS_REVIEWS, RUNS, Object
from sympozium_archive.audit_log import AuditEntry, AuditLog
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_console.change_feed import change_stream
from sympozium_console.console_app import create_app
from sympozium_console.routes.access import NEEDS, AnyCaller

OWN, OTHER = "team", "other"
USER = user_of(OWN, "reader")
LISTS = (
    "/api/v1/instances",
    "/api/v1/runs",
    "/api/v1/runs?order=newest",
    "/api/v1/skills",
    "/api/v1/usage?by=instance&from=2025-12-01T00:00:00Z&to=2026-02-01T00:00:00Z",
)
ARCHIVE_LISTS = ("/api/v1/history", "/api/v1/audit")
NOON = 1_767_182_400_000_000  # 2025-12-31T12:00:00Z
CONFIG = {"kind": "SympoziumConfig", "metadata": {"name": "default", "namespace": "sympozium-system"}, "spec": {}}
ROW = RunRow(uid="u", namespace=OWN, name="r", instance=OWN, phase="Succeeded", created_at=NOON, ended_at=NOON + 1)


def skill_pack(namespace: str) -> Object:
    return {
        "kind": "SkillPack",
        "metadata": {"name": f"pack-{namespace}", "namespace": namespace},
        "spec": {"skills": []},
    }


async def furnished(console: Console) -> TokenIssuer:
    """Two namespaces with one object of each kind, whose names tell the namespace; and in the archive a run and a change of each."""
    issuer = TokenIssuer(console.kubernetes)
    for namespace in (OWN, OTHER):
        console.kubernetes.put(namespace_object(namespace))
        made = instance()
        console.kubernetes.put(made | {"metadata": {"name": f"agent-{namespace}", "namespace": namespace}})
        with_log(
            console.kubernetes, run(f"run-{namespace}", instance=f"agent-{namespace}", namespace=namespace), "begun\n"
        )
        console.kubernetes.put(skill_pack(namespace))
        if console.context.archiver:
            await archived(console, namespace)
    await index_is_whole(console)
    return issuer


async def archived(console: Console, namespace: str) -> None:
    uid = f"uid-{namespace}"
    await RunRows(console.context.database).upsert(
        [replace(ROW, uid=uid, namespace=namespace, instance=f"agent-{namespace}")]
    )
    await Contents(console.context.database).put(uid, {"answer": f"said-{namespace}"})
    entry = AuditEntry(namespace, f"key-{namespace}", None, "api", "patch", RUNS.kind, f"run-{namespace}")
    await AuditLog(console.context.database).refused(entry, 403)


async def index_is_whole(console: Console) -> None:
    """Wait until the index has the runs; the console without an archive has no loops of its own in these tests."""
    loops = [] if console.context.archiver else [asyncio.create_task(console.context.loops["index"]())]
    async with asyncio.timeout(60):
        runs = 0
        while runs < 2:
            await asyncio.sleep(0.01)
            answer = (await console.request("GET", "/api/v1/runs?order=newest")).json()
            runs = answer.get("counts", {"runs": 0})["runs"]
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


async def ask(console: Console, token: str, path: str, method: str = "GET", **options: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
    return await console.request(method, path, headers=headers, **options)


def routes_of(console: Console) -> list[tuple[str, str]]:
    """Return method and path of every route below /api/v1, also of one that is written later."""
    found = list(iter_route_contexts(create_app(console.context).routes))
    pairs = [(method, str(route.path)) for route in found for method in set(route.methods or ()) - {"HEAD"}]
    return sorted(pair for pair in pairs if pair[1].startswith("/api/v1"))


class TestEveryRoute:
    async def test_has_a_row_in_the_table_of_rights(self, console: Console) -> None:
        routes = set(routes_of(console))
        assert routes - NEEDS.keys() == set()
        assert NEEDS.keys() - routes == set()

    async def test_refuses_a_service_account_with_rights_on_another_namespace_only(self, archiving: Console) -> None:
        issuer = await furnished(archiving)
        grant(archiving.kubernetes, USER, OWN)
        token = account_token(issuer, OWN, "reader")
        archiving.kubernetes.writes.clear()
        for method, path in routes_of(archiving):
            need = NEEDS[method, path]
            name = f"agent-{OTHER}" if "instances" in path else f"uid-{OTHER}" if "history" in path else f"run-{OTHER}"
            address = path.replace("{name}", name).replace("{id}", name)
            if isinstance(need, AnyCaller):
                answer = await ask(archiving, token, address, method)
                assert answer.status_code == 200, (address, answer.text)
                assert OTHER not in answer.text, address
                continue
            body = {"json": {"spec": SPEC}} if method in ("PUT", "PATCH", "POST") else {}
            where = {} if need.of == "entry" else {"namespace": OTHER}
            refused = await ask(archiving, token, address, method, params=where, **body)
            assert f"said-{OTHER}" not in refused.text, address
            if need.of == "entry":
                assert error(refused, 404)["reason"] == "NotFound", address
                continue
            message = error(refused, 403)["message"]
            assert USER in message, address
            assert need.kind.kind in message, address
            assert f"in namespace {'sympozium-system' if need.of == 'installation' else OTHER}" in message, address
            assert any(f" {verb} " in message for verb in VERBS), address
        assert archiving.kubernetes.writes == []

    async def test_does_what_the_right_on_its_namespace_allows(self, archiving: Console) -> None:
        issuer = await furnished(archiving)
        grant(archiving.kubernetes, USER, OWN)
        grant(archiving.kubernetes, USER, "sympozium-system", plurals=("sympoziumconfigs",))
        archiving.kubernetes.put(CONFIG)
        token = account_token(issuer, OWN, "reader")
        kinds = {"instances": "agent", "history": "uid", "skills": "pack"}
        for method, path in routes_of(archiving):
            name = f"{kinds.get(path.split('/')[3], 'run')}-{OWN}"
            if method != "GET" or path.endswith(("/events", "/watch")):
                continue
            address = path.replace("{name}", name).replace("{id}", name)
            need = NEEDS[method, path]
            is_elsewhere = isinstance(need, AnyCaller) or need.of in ("entry", "installation")
            where = {} if is_elsewhere else {"namespace": OWN}
            answer = await ask(archiving, token, address, params=where)
            assert answer.status_code == 200, (address, answer.text)


class TestLists:
    async def test_without_a_namespace_show_those_alone_in_which_the_account_may_list(self, archiving: Console) -> None:
        issuer = await furnished(archiving)
        grant(archiving.kubernetes, USER, OWN)
        token = account_token(issuer, OWN, "reader")
        for path in LISTS + ARCHIVE_LISTS:
            answer = await ask(archiving, token, path)
            assert answer.status_code == 200, answer.text
            assert OTHER not in answer.text, path
            assert f"-{OWN}" in answer.text, path
            everything = (await archiving.request("GET", path)).text
            assert f"-{OTHER}" in everything, path

    async def test_of_an_account_without_rights_are_empty(self, archiving: Console) -> None:
        issuer = await furnished(archiving)
        token = account_token(issuer, OWN, "nobody")
        for path in LISTS + ARCHIVE_LISTS:
            answer = await ask(archiving, token, path)
            assert answer.status_code == 200, answer.text
            assert f"-{OWN}" not in answer.text, path
            assert f"-{OTHER}" not in answer.text, path
            assert not answer.json().get("countsSince"), path

    async def test_are_paged_over_the_namespaces(self, console: Console) -> None:
        issuer = await furnished(console)
        for namespace in ("a", OWN, "z"):
            console.kubernetes.put(namespace_object(namespace))
            grant(console.kubernetes, USER, namespace)
            for number in range(3):
                metadata = {"name": f"i-{number}", "namespace": namespace}
                console.kubernetes.put(instance() | {"metadata": metadata})
        token, after, seen = account_token(issuer, OWN, "reader"), "", list[tuple[str, str]]()
        for _ in range(20):
            page = (await ask(console, token, "/api/v1/instances", params={"limit": 2, "continue": after})).json()
            assert len(page["items"]) <= 2
            seen += [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in page["items"]]
            after = page["metadata"].get("continue", "")
            if not after:
                break
        assert seen == sorted(seen)
        assert len(seen) == len(set(seen)) == 10
        assert {namespace for namespace, _ in seen} == {"a", OWN, "z"}


class TestEventsOfARun:
    async def test_are_for_those_who_may_list_events(self, console: Console) -> None:
        issuer = await furnished(console)
        ended = run("ended", namespace=OWN, phase="Succeeded")
        console.kubernetes.put(ended)
        about = {"involvedObject": {"kind": "AgentRun", "name": "ended", "namespace": OWN}, "reason": "Started"}
        console.kubernetes.put({"kind": "Event", "metadata": {"name": "e", "namespace": OWN}} | about)
        token, path = account_token(issuer, OWN, "reader"), f"/api/v1/runs/ended/events?namespace={OWN}"
        grant(console.kubernetes, USER, OWN, plurals=("agentruns",))
        assert "event: event" not in (await ask(console, token, path)).text
        grant(console.kubernetes, USER, OWN, plurals=("events",))
        console.clock.advance(10)
        assert "event: event" in (await ask(console, token, path)).text

    async def test_are_not_needed_for_the_answer_of_the_run(self, console: Console) -> None:
        issuer = await furnished(console)
        grant(console.kubernetes, USER, OWN, plurals=("agentruns",))
        path = f"/api/v1/runs/run-{OWN}/events?namespace={OWN}&after=2"
        headers = {"Authorization": f"Bearer {account_token(issuer, OWN, 'reader')}"}
        async with console.http.stream("GET", path, headers=headers) as response:
            stream = Stream(response)
            await stream.until("status")
            console.kubernetes.put(run(f"run-{OWN}", instance=f"agent-{OWN}", namespace=OWN, phase="Succeeded"))
            assert await stream.event() == ("delta", {"content": "llo", "after": 5})


class TestPut:
    @pytest.mark.parametrize(
        ("headers", "verbs"),
        [({}, ("create", "update")), ({"If-None-Match": "*"}, ("create",)), ({"If-Match": "*"}, ("update",))],
    )
    async def test_takes_the_verbs_that_its_preconditions_leave(
        self, console: Console, headers: dict[str, str], verbs: tuple[str, ...]
    ) -> None:
        issuer = await furnished(console)
        token = account_token(issuer, OWN, "reader")
        path = f"/api/v1/instances/new?namespace={OWN}"
        for verb in verbs:
            console.clock.advance(10)
            console.kubernetes.grants.clear()
            others = tuple(other for other in VERBS if other != verb)
            grant(console.kubernetes, USER, OWN, verbs=others)
            refused = await ask(console, token, path, "PUT", json={"spec": SPEC}, headers=headers)
            assert f" {verb} " in error(refused, 403)["message"]
        console.clock.advance(10)
        console.kubernetes.grants.clear()
        grant(console.kubernetes, USER, OWN, verbs=verbs)
        answer = await ask(console, token, path, "PUT", json={"spec": SPEC}, headers=headers)
        assert answer.status_code in (201, 412), answer.text


class TestTokens:
    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"aud": ["sympozium-runs"]}, "not for the audience sympozium-console"),
            ({"exp": 1}, "expired"),
            ({"exp": None}, "exp"),
            ({"iss": "https://elsewhere.example.com"}, "issuer"),
            ({"kubernetes.io": None}, "service account"),
            ({"kubernetes.io": "x"}, "service account"),
        ],
    )
    async def test_that_are_not_for_the_console_are_refused(
        self, console: Console, changes: dict[str, Any], word: str
    ) -> None:
        issuer = await furnished(console)
        grant(console.kubernetes, USER, OWN)
        kept = {name: value for name, value in changes.items() if value is not None}
        token = account_token(issuer, OWN, "reader", **kept)
        if None in changes.values():
            token = account_token(_without(issuer, *changes), OWN, "reader")
        refused = await ask(console, token, "/api/v1/instances")
        assert word in error(refused, 401)["message"]
        assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    async def test_of_a_forger_are_refused(self, console: Console) -> None:
        issuer = await furnished(console)
        issuer.rotate("k1")
        forged = account_token(issuer, OWN, "reader")
        furnished_again = TokenIssuer(console.kubernetes)
        for token in (forged, forged[:-4] + "AAAA", forged.rpartition(".")[0] + "."):
            error(await ask(console, token, "/api/v1/instances"), 401)
        valid = account_token(furnished_again, OWN, "reader")
        assert (await ask(console, valid, "/api/v1/instances")).status_code == 200

    async def test_answer_503_while_the_clusters_keys_are_away(self, console: Console) -> None:
        issuer = await furnished(console)
        token = account_token(issuer, OWN, "reader")
        del console.kubernetes.documents["/openid/v1/jwks"]
        refused = await ask(console, token, "/api/v1/instances")
        assert error(refused, 503)["reason"] == "NotVerified"
        assert refused.headers["retry-after"]

    async def test_a_namespace_that_is_given_twice_is_refused(self, console: Console) -> None:
        issuer = await furnished(console)
        grant(console.kubernetes, USER, OWN)
        token = account_token(issuer, OWN, "reader")
        refused = await ask(console, token, f"/api/v1/instances/agent-{OTHER}?namespace={OTHER}&namespace={OWN}")
        assert error(refused, 400)["fields"][0]["field"] == "namespace"


def _without(issuer: TokenIssuer, *claims: str) -> TokenIssuer:
    """Return an issuer of tokens without these claims."""

    class Leaving(TokenIssuer):
        def __init__(self) -> None:
            self.__dict__.update(issuer.__dict__)

        def token(self, pod: str, account: str, namespace: str = "default", **changes: Any) -> str:
            whole = jwt.decode(issuer.token(pod, account, namespace, **changes), options={"verify_signature": False})
            kept = {name: value for name, value in whole.items() if name not in claims}
            return jwt.encode(kept, issuer._key, algorithm="RS256", headers={"kid": issuer._key_id})

    return Leaving()


class TestReviews:
    async def test_are_asked_once_in_ten_seconds(self, console: Console) -> None:
        issuer = await furnished(console)
        token, path = account_token(issuer, OWN, "reader"), f"/api/v1/instances?namespace={OWN}"
        grant(console.kubernetes, "system:serviceaccounts:team", OWN)
        for _ in range(3):
            assert (await ask(console, token, path)).status_code == 200
        assert console.kubernetes.reviews == [(USER, "list", "sympoziuminstances", OWN)]
        console.kubernetes.grants.clear()
        assert (await ask(console, token, path)).status_code == 200
        console.clock.advance(10)
        error(await ask(console, token, path), 403)

    async def test_that_fail_are_asked_again(self, console: Console) -> None:
        issuer = await furnished(console)
        token, path = account_token(issuer, OWN, "reader"), f"/api/v1/instances?namespace={OWN}"
        grant(console.kubernetes, USER, OWN)
        console.kubernetes.refuse("create", LOCAL_ACCESS_REVIEWS, ApiUnavailable("away"))
        error(await ask(console, token, path), 503)
        assert (await ask(console, token, path)).status_code == 200

    async def test_where_the_console_has_no_rights_show_nothing(self, console: Console) -> None:
        issuer = await furnished(console)
        token, path = account_token(issuer, OWN, "reader"), f"/api/v1/instances?namespace={OWN}"
        console.kubernetes.refuse("create", LOCAL_ACCESS_REVIEWS, api_error(403, "Forbidden"))
        error(await ask(console, token, path), 403)


class TestAudit:
    async def test_names_the_account_of_a_change_and_of_a_refusal(self, archiving: Console) -> None:
        issuer = await furnished(archiving)
        grant(archiving.kubernetes, USER, OWN)
        token = account_token(issuer, OWN, "reader")
        path = "/api/v1/instances/agent-{0}?namespace={0}"
        assert (await ask(archiving, token, path.format(OWN), "PATCH", json={"maxQueuedRuns": 1})).status_code == 200
        assert (await ask(archiving, token, path.format(OTHER), "PATCH", json={"maxQueuedRuns": 1})).status_code == 403
        async with asyncio.timeout(60):
            found: list[dict[str, Any]] = []
            while len(found) < 2:
                found = (await archiving.request("GET", "/api/v1/audit", params={"user": USER})).json()["items"]
        assert {(c["actor"], c["user"], c["kind"], c["namespace"], c["status"]) for c in found} == {
            (USER, USER, INSTANCES.kind, OWN, 200),
            (USER, USER, INSTANCES.kind, OTHER, 403),
        }


class TestTheVariable:
    async def test_holds_a_token_of_the_installation(self, console: Console) -> None:
        object.__setattr__(console.context.callers.authenticator, "auth_token", "from-the-variable")
        assert (await ask(console, "from-the-variable", "/api/v1/instances")).status_code == 200
        error(await ask(console, "from-the-variabl", "/api/v1/instances"), 401)


async def up_to(text: str, lines: AsyncIterator[str]) -> list[str]:
    """The lines up to the first with this text; on a slow machine there are some between that keep the stream alive."""
    seen = list[str]()
    async for line in lines:
        seen.append(line)
        if text in line:
            return seen
    raise AssertionError(seen)


class TestTheStreamOfChanges:
    async def test_shows_what_the_caller_may_watch_until_it_may_not(
        self, console: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(change_stream, "_JUDGED_SECONDS", 0.3)
        issuer = TokenIssuer(console.kubernetes)
        console.kubernetes.put(namespace_object(OWN))
        grant(console.kubernetes, USER, OWN, verbs=("watch",), plurals=("sympoziuminstances",))
        headers = {"Authorization": f"Bearer {account_token(issuer, OWN, 'reader')}"}
        ring = console.context.feed.ring
        async with console.http.stream("GET", "/api/v1/watch", headers=headers) as response:
            lines = aiter(response.aiter_lines())
            assert 'data: {"kinds":["instances"]}' in await up_to("data: {", lines)
            ring.publish("changed", "runs", {"name": "hidden"}, namespace=OWN)
            ring.publish("changed", "instances", {"name": "hidden"}, namespace=OTHER)
            ring.publish("changed", "instances", {"name": "shown"}, namespace=OWN)
            seen = await up_to("shown", lines)
            assert "hidden" not in str(seen)
            console.kubernetes.grants.clear()
            console.clock.advance(11)
            await asyncio.sleep(0.4)
            ring.publish("changed", "instances", {"name": "late"}, namespace=OWN)
            async with asyncio.timeout(60):
                assert "late" not in str([line async for line in lines])

    async def test_that_is_open_continues_while_the_process_holds_all_the_bytes_that_it_may(
        self, console: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(change_stream, "_JUDGED_SECONDS", 0.0)
        async with console.http.stream("GET", "/api/v1/watch") as response:
            lines = aiter(response.aiter_lines())
            assert "event: synced" in await up_to("event: synced", lines)
            budget = console.context.instance_runs.budget
            budget.add(budget.limit)
            console.context.feed.ring.publish("changed", "instances", {"name": "shown"}, namespace=OWN)
            assert await up_to("shown", lines)
        budget.add(-budget.limit)
