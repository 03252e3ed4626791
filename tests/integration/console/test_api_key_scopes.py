"""Rights of an API key: its scopes, and those of its user."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.callers import account_token, grant, namespace_object, user_of
from tests.fakes.pod import TokenIssuer
from tests.integration.conftest import eventually, instance
from tests.integration.console.api_key_world import PATH, WISH, ask, following, following_pepper, made
from tests.integration.console.conftest import Console, error, run

from sympozium_api.resources import INSTANCES, RUNS


@pytest.fixture
async def keyed(console: Console) -> AsyncIterator[Console]:
    """A console that has a pepper and follows the keys."""
    async with following(console):
        yield console


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
