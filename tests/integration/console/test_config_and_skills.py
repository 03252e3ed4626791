"""The SympoziumConfig, and SkillPacks with their users."""

from typing import Any

import pytest
from tests.fakes.callers import account_token, grant, namespace_object
from tests.integration.console.conftest import SPEC, Console, error
from tests.integration.console.test_callers import OTHER, OWN, USER, ask

from sympozium_api.resources import CONFIGS, Object

SYSTEM, CONFIG = "sympozium-system", "/api/v1/config"
GATEWAY = {"gateway": {"enabled": True, "gatewayClassName": "c", "baseDomain": "agents.example.com"}}


class TestTheConfig:
    async def test_is_created_read_and_replaced_in_the_installations_namespace(self, console: Console) -> None:
        error(await console.request("GET", CONFIG), 404)
        made = await console.request("PUT", CONFIG, json={"spec": GATEWAY})
        assert made.status_code == 201, made.text
        assert console.kubernetes.object(CONFIGS, "default", SYSTEM)["spec"]["gateway"]["gatewayClassName"] == "c"
        read = await console.request("GET", CONFIG)
        assert (read.json()["metadata"]["name"], read.headers["etag"]) == ("default", made.headers["etag"])
        tag = {"If-Match": read.headers["etag"]}
        changed = await console.request("PUT", CONFIG, json={"spec": {}}, headers=tag)
        assert changed.status_code == 200
        assert "gatewayClassName" not in changed.text
        assert error(await console.request("PUT", CONFIG, json={"spec": GATEWAY}, headers=tag), 412)

    async def test_is_tried_without_a_change(self, console: Console) -> None:
        tried = await console.request("PUT", CONFIG, params={"dryRun": "All"}, json={"spec": GATEWAY})
        assert (tried.status_code, tried.json()["spec"]["gateway"]["enabled"]) == (201, True)
        assert console.kubernetes.writes == []

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            ({"spec": {"gateway": {"enabled": True}}}, 422, "spec.gateway"),
            ({"spec": {"gatway": {}}}, 400, "spec.gatway"),
            ({"metadata": {"name": "other"}, "spec": {}}, 400, "metadata.name"),
            ({"metadata": {"namespace": "other"}, "spec": {}}, 400, "metadata.namespace"),
        ],
    )
    async def test_a_wrong_value_is_named(self, console: Console, body: Object, status: int, field: str) -> None:
        refusal = error(await console.request("PUT", CONFIG, json=body), status)
        assert [fault["field"] for fault in refusal["fields"]] == [field]
        assert console.kubernetes.writes == []

    async def test_takes_the_right_in_the_installations_namespace(self, console: Console) -> None:
        token = account_token(console.issuer, OWN, "reader")
        grant(console.kubernetes, USER, OWN)
        tries: dict[str, Any] = {"GET": {}, "PUT": {"json": {"spec": {}}}}
        for method, body in tries.items():
            for where in ("", f"?namespace={OWN}"):
                refused = await ask(console, token, CONFIG + where, method, **body)
                assert f"in namespace {SYSTEM}" in error(refused, 403)["message"]
        grant(console.kubernetes, USER, SYSTEM, verbs=("create", "update"), plurals=("sympoziumconfigs",))
        console.clock.advance(10)
        assert (await ask(console, token, CONFIG, "PUT", json={"spec": {}})).status_code == 201
        may = (await ask(console, token, "/api/v1/me")).json()["may"]
        assert may["sympoziumconfigs"] == ["create", "update"]

    async def test_the_audit_has_its_change(self, archiving: Console) -> None:
        await archiving.request("PUT", CONFIG, json={"spec": GATEWAY})
        [change] = (await archiving.request("GET", "/api/v1/audit")).json()["items"]
        assert (change["kind"], change["namespace"], change["resource"]) == ("SympoziumConfig", SYSTEM, "default")
        assert change["fields"] == [f"spec.gateway.{name}" for name in ("enabled", "gatewayClassName", "baseDomain")]


def pack(name: str, namespace: str) -> Object:
    skill = {"name": "s", "content": f"text of {namespace}"}
    return {
        "kind": "SkillPack",
        "metadata": {"name": name, "namespace": namespace, "managedFields": [{"manager": "x"}]},
        "spec": {"skills": [skill]},
    }


def using(name: str, namespace: str, *packs: str) -> Object:
    return {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": "SympoziumInstance",
        "metadata": {"name": name, "namespace": namespace},
        "spec": SPEC | {"skills": [{"skillPackRef": one} for one in packs]},
    }


def furnished(console: Console) -> None:
    """A built-in pack, which the other namespace hides behind one of its own; users of it in both."""
    for namespace in (OWN, OTHER):
        console.kubernetes.put(namespace_object(namespace))
        console.context.feed.instances.put(console.kubernetes.put(using(f"agent-{namespace}", namespace, "triage")))
    console.context.feed.instances.put(console.kubernetes.put(using("another", OWN, "else")))
    console.kubernetes.put(pack("triage", SYSTEM))
    console.kubernetes.put(pack("triage", OTHER))


class TestASkillPack:
    @pytest.fixture(autouse=True)
    def instances_are_known(self, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(console.context.feed), "require_instances", lambda _: None)

    async def test_is_the_namespaces_own_or_else_the_built_in_one_with_its_users(self, console: Console) -> None:
        furnished(console)
        built_in = (await console.request("GET", f"/api/v1/skills/triage?namespace={OWN}")).json()
        assert (built_in["pack"]["metadata"]["namespace"], built_in["builtIn"]) == (SYSTEM, True)
        assert built_in["pack"]["spec"]["skills"][0]["content"] == f"text of {SYSTEM}"
        assert "managedFields" not in built_in["pack"]["metadata"]
        assert built_in["usedBy"] == [{"namespace": OWN, "name": f"agent-{OWN}"}]
        own = (await console.request("GET", f"/api/v1/skills/triage?namespace={OTHER}")).json()
        assert (own["pack"]["metadata"]["namespace"], own["builtIn"]) == (OTHER, False)
        assert own["usedBy"] == [{"namespace": OTHER, "name": f"agent-{OTHER}"}]

    async def test_shows_the_users_that_the_caller_may_list(self, console: Console) -> None:
        furnished(console)
        token = account_token(console.issuer, OWN, "reader")
        path = f"/api/v1/skills/triage?namespace={OWN}"
        grant(console.kubernetes, USER, OWN, verbs=("get",), plurals=("skillpacks",))
        assert (await ask(console, token, path)).json()["usedBy"] == []
        grant(console.kubernetes, USER, OWN, verbs=("list",), plurals=("sympoziuminstances",))
        console.clock.advance(10)
        assert len((await ask(console, token, path)).json()["usedBy"]) == 1

    async def test_that_is_not_there_is_404(self, console: Console) -> None:
        refusal = error(await console.request("GET", f"/api/v1/skills/absent?namespace={OWN}"), 404)
        assert f"in namespace {OWN}" in refusal["message"]


async def test_a_packs_users_are_503_until_the_instances_are_listed(console: Console) -> None:
    furnished(console)
    assert error(await console.request("GET", "/api/v1/skills/triage"), 503)["reason"] == "Reading"
