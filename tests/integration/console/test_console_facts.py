"""What any caller may ask: about itself, the namespaces that it may list in, and the version."""

from importlib.metadata import version

import pytest
from tests.fakes.callers import account_token, grant, namespace_object
from tests.integration.console.conftest import Console, error
from tests.integration.console.test_callers import OTHER, OWN, USER, ask

from sympozium_api.resources import API_KEYS
from sympozium_domain.callers.authenticator import Authenticator
from sympozium_domain.callers.caller import Caller

KEY = Caller("ada", "k-1", frozenset({"operator.write"}), namespace=OWN, expires_at=1_800_000_000)


def account(console: Console) -> str:
    for namespace in (OWN, OTHER):
        console.kubernetes.put(namespace_object(namespace))
    return account_token(console.issuer, OWN, "reader")


@pytest.fixture
def with_key(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to the console are those of an API key."""

    async def caller(*_: object) -> Caller:
        return KEY

    monkeypatch.setattr(Authenticator, "caller", caller)


class TestMe:
    async def test_tells_an_account_its_groups_and_what_it_may_in_a_namespace(self, console: Console) -> None:
        token = account(console)
        grant(console.kubernetes, USER, OWN, verbs=("get", "create"), plurals=("agentruns",))
        me = (await ask(console, token, f"/api/v1/me?namespace={OWN}")).json()
        assert (me["user"], me["kind"], me["namespace"], me["onlyNamespace"]) == (USER, "kubernetes", OWN, None)
        assert f"system:serviceaccounts:{OWN}" in me["groups"]
        assert me["may"]["agentruns"] == ["create", "get"]
        assert me["may"]["sympoziuminstances"] == me["may"]["audits"] == []
        elsewhere = (await ask(console, token, "/api/v1/me")).json()
        assert elsewhere["namespace"] == "default"
        assert not any(elsewhere["may"].values())

    async def test_tells_a_token_of_the_installation_that_it_may_all(self, console: Console) -> None:
        me = (await console.request("GET", "/api/v1/me")).json()
        assert (me["user"], me["kind"], me["groups"]) == ("token", "installation", [])
        assert me["may"]["sympoziuminstances"] == ["create", "delete", "get", "list", "patch", "update", "watch"]
        assert all(me["may"].values())
        assert console.kubernetes.reviews == []

    @pytest.mark.usefixtures("with_key")
    async def test_tells_a_key_its_namespace_scopes_and_end(self, console: Console) -> None:
        me = (await console.request("GET", "/api/v1/me")).json()
        assert (me["kind"], me["scopes"], me["namespace"]) == ("key", ["operator.write"], OWN)
        assert (me["onlyNamespace"], me["expiresAt"]) == (OWN, "2027-01-15T08:00:00Z")
        assert me["may"]["agentruns"] == ["create", "get", "list", "patch", "watch"]
        assert me["may"][API_KEYS.plural] == []
        elsewhere = (await console.request("GET", f"/api/v1/me?namespace={OTHER}")).json()
        assert not any(elsewhere["may"].values())

    async def test_refuses_what_is_no_namespace(self, console: Console) -> None:
        refused = await console.request("GET", "/api/v1/me?namespace=a/b")
        assert error(refused, 400)["fields"][0]["field"] == "namespace"


class TestNamespaces:
    async def test_are_those_in_which_the_caller_may_list_instances_or_runs(self, console: Console) -> None:
        token = account(console)
        assert (await ask(console, token, "/api/v1/namespaces")).json() == {"items": []}
        grant(console.kubernetes, USER, OWN, verbs=("list",), plurals=("agentruns",))
        grant(console.kubernetes, USER, OTHER, verbs=("get",))
        console.clock.advance(10)
        assert (await ask(console, token, "/api/v1/namespaces")).json() == {"items": [{"name": OWN}]}
        everything = (await console.request("GET", "/api/v1/namespaces")).json()["items"]
        assert {OWN, OTHER} <= {item["name"] for item in everything}

    @pytest.mark.usefixtures("with_key")
    async def test_of_a_key_are_its_own(self, console: Console) -> None:
        assert (await console.request("GET", "/api/v1/namespaces")).json() == {"items": [{"name": OWN}]}


class TestVersion:
    async def test_names_the_release_and_its_parts(self, console: Console) -> None:
        answer = (await ask(console, account(console), "/api/v1/version")).json()
        assert answer["version"] == version("sympozium")
        assert answer["apiVersion"] == "sympozium.ai/v1alpha1"
        assert answer["features"] == {"archive": False, "oidc": False}

    async def test_is_for_callers_only(self, console: Console) -> None:
        for path in ("me", "namespaces", "version"):
            error(await console.http.get(f"/api/v1/{path}", headers={"Authorization": "Bearer x"}), 401)
