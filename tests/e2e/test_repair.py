"""Whatever of a web endpoint is deleted or edited comes back within ten seconds, and nothing is written once it has."""

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, instance, until

WITHIN = 10
POLLED = 150
"""Seconds for what the operator may not watch: it checks one object of each web endpoint a minute (decision 0051)."""
RUN = "mended-web-endpoint"
SERVER = f"{RUN}-server"
KEYS = f"{RUN}-web-api-key"
SESSION_KEY = f"{RUN}-session-key"

CHILDREN = {
    "deployment": SERVER,
    "service": SERVER,
    "serviceaccount": RUN,
    "role": RUN,
    "rolebinding": RUN,
    "secret": KEYS,
    "agentrun": RUN,
}
"""Kind and name of what an instance with a web endpoint leads to, beside the agents' ServiceAccount."""
ALL = [*CHILDREN.items(), ("serviceaccount", "mended-agent")]


@pytest.fixture(scope="module")
def site(namespace: Namespace) -> Iterator[Namespace]:
    namespace.apply(instance("mended", webEndpoint={"enabled": True}))
    Endpoint(namespace, "mended").serves()
    yield namespace
    namespace.delete("instance", "mended")


@pytest.fixture(autouse=True)
def whole(site: Namespace) -> Iterator[None]:
    """Each test leaves the endpoint as it should be, for what it broke is repaired; where that takes other pods, they are waited for."""
    yield
    endpoint = Endpoint(site, "mended")
    until(endpoint.answers, within=60)
    endpoint.serves()


def found(site: Namespace, kind: str, name: str) -> Object | None:
    """The object, unless it is not there or going."""
    text = site.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
    body: Object | None = json.loads(text) if text else None
    return None if body is None or "deletionTimestamp" in body["metadata"] else body


def comes_back(
    site: Namespace, kind: str, name: str, right: Callable[[Object], object], *, within: float = WITHIN
) -> Object:
    def look() -> Object | None:
        body = found(site, kind, name)
        return body if body and right(body) else None

    return until(look, within=within, why=lambda: site.kubectl("get", kind, name, "--ignore-not-found", "-o", "yaml"))


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_it_is_deleted(site: Namespace, kind: str, name: str) -> None:
    before = site.get(kind, name)["metadata"]
    site.delete(kind, name, "--wait=false")
    after = comes_back(site, kind, name, lambda body: body["metadata"]["uid"] != before["uid"])["metadata"]
    assert after["labels"] == before["labels"]
    assert [owner["name"] for owner in after["ownerReferences"]] == [
        owner["name"] for owner in before["ownerReferences"]
    ]


def test_its_run_is_deleted_and_all_of_it_comes_back(site: Namespace) -> None:
    before = {(kind, name): site.get(kind, name)["metadata"]["uid"] for kind, name in CHILDREN.items()}
    site.delete("agentrun", RUN, "--wait=false")
    for (kind, name), uid in before.items():
        comes_back(site, kind, name, lambda body, uid=uid: body["metadata"]["uid"] != uid)  # type: ignore[misc]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_its_owner_is_edited_away(site: Namespace, kind: str, name: str) -> None:
    before = site.get(kind, name)["metadata"]["ownerReferences"]
    site.patch(kind, name, {"metadata": {"ownerReferences": None}})
    comes_back(site, kind, name, lambda body: body["metadata"].get("ownerReferences") == before)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_its_labels_are_edited_away(site: Namespace, kind: str, name: str) -> None:
    """Watches select by label: an object without any leaves them, and must be noticed all the same."""
    before = site.get(kind, name)["metadata"]["labels"]
    site.patch(kind, name, {"metadata": {"labels": None}})
    comes_back(site, kind, name, lambda body: body["metadata"].get("labels") == before)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_its_label_and_its_owner_are_another_ones(site: Namespace, kind: str, name: str) -> None:
    """Nothing but its name says whose it is. The garbage collector may take it for an orphan first."""
    before = site.get(kind, name)["metadata"]
    owner = before["ownerReferences"][0] | {"name": "other", "uid": "00000000-0000-4000-8000-000000000000"}
    labels = {"sympozium.ai/run": "other", "sympozium.ai/instance": "other"}
    site.patch(kind, name, {"metadata": {"labels": labels, "ownerReferences": [owner]}})
    comes_back(
        site,
        kind,
        name,
        lambda body: (
            body["metadata"]["labels"] == before["labels"]
            and [owner["name"] for owner in body["metadata"]["ownerReferences"]]
            == [owner["name"] for owner in before["ownerReferences"]]
        ),
    )


SPREAD = {"topologySpreadConstraints": None, "terminationGracePeriodSeconds": 60}
EDITS: dict[str, tuple[str, Object]] = {
    "a deployment's template": ("deployment", {"spec": {"template": {"spec": SPREAD}}}),
    "a deployment's replicas": ("deployment", {"spec": {"replicas": 0}}),
    "a service's selector": ("service", {"spec": {"selector": None}}),
    "another entry in a service's selector": ("service", {"spec": {"selector": {"tier": "none"}}}),
    "a service's ports": ("service", {"spec": {"ports": [{"name": "http", "port": 9, "targetPort": 9}]}}),
    "a role's rules": ("role", {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]}),
    "a binding's subjects": ("rolebinding", {"subjects": None}),
}
PARTS = {"deployment": "spec", "service": "spec", "role": "rules", "rolebinding": "subjects"}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_in_it_is_edited(site: Namespace, edit: str) -> None:
    kind, patch = EDITS[edit]
    name, part = CHILDREN[kind], PARTS[kind]
    before = site.get(kind, name)[part]
    site.patch(kind, name, patch)
    comes_back(site, kind, name, lambda body: body.get(part) == before)


def test_a_subject_is_added_to_a_binding_and_taken_out_again(site: Namespace) -> None:
    before = site.get("rolebinding", RUN)["subjects"]
    guest = {"kind": "ServiceAccount", "name": "guest", "namespace": site.name}
    site.patch("rolebinding", RUN, {"subjects": [*before, guest]})
    comes_back(site, "rolebinding", RUN, lambda body: body["subjects"] == before)


def test_the_agents_account_may_not_be_given_a_token(site: Namespace) -> None:
    site.patch("serviceaccount", "mended-agent", {"automountServiceAccountToken": True})
    comes_back(site, "serviceaccount", "mended-agent", lambda body: body["automountServiceAccountToken"] is False)


class TestTheKey:
    @staticmethod
    def data(body: Object) -> dict[str, str]:
        return {name: base64.b64decode(value).decode() for name, value in body.get("data", {}).items()}

    def test_a_deleted_one_is_followed_by_a_new_one(self, site: Namespace) -> None:
        before = self.data(site.get("secret", KEYS))["api-key"]
        site.delete("secret", KEYS)
        after = self.data(comes_back(site, "secret", KEYS, lambda _: True))["api-key"]
        assert after.startswith("sk-")
        assert after != before

    def test_an_entry_that_was_removed_comes_back_and_the_others_stay(self, site: Namespace) -> None:
        site.patch("secret", KEYS, {"stringData": {"api-key-alice": "sk-alice"}, "data": {"api-key": None}})
        after = self.data(comes_back(site, "secret", KEYS, lambda body: "api-key" in body["data"]))
        assert after["api-key"].startswith("sk-")
        assert after["api-key-alice"] == "sk-alice"

    def test_a_value_that_somebody_chose_stays(self, site: Namespace) -> None:
        site.patch("secret", KEYS, {"stringData": {"api-key": "sk-chosen"}, "metadata": {"labels": None}})
        after = self.data(comes_back(site, "secret", KEYS, lambda body: "labels" in body["metadata"]))
        assert after["api-key"] == "sk-chosen"


class TestTheSessionKey:
    """The key that signs MCP sessions, which only the operator may have chosen.

    One test waits until the operator checks it by itself; the others have a change of the spec that makes the operator look.
    """

    @staticmethod
    def looked_at(site: Namespace) -> None:
        agent = site.get("instance", "mended")["spec"]["agents"]["default"]
        limit = {"maxTokens": agent.get("maxTokens", 100) + 1}
        site.patch("instance", "mended", {"spec": {"agents": {"default": limit}}})

    def test_a_deleted_one_is_followed_by_a_new_one(self, site: Namespace) -> None:
        before = site.get("secret", SESSION_KEY)
        site.delete("secret", SESSION_KEY)
        after = comes_back(site, "secret", SESSION_KEY, lambda _: True, within=POLLED)
        assert after["data"] != before["data"]
        assert after["immutable"] is True
        assert [owner["name"] for owner in after["metadata"]["ownerReferences"]] == [RUN]

    def test_its_labels_are_edited_away(self, site: Namespace) -> None:
        before = site.get("secret", SESSION_KEY)
        site.patch("secret", SESSION_KEY, {"metadata": {"labels": None}})
        self.looked_at(site)

        def right(body: Object) -> bool:
            return bool(body["metadata"].get("labels") == before["metadata"]["labels"])

        assert comes_back(site, "secret", SESSION_KEY, right)["data"] == before["data"]

    def test_one_without_its_owner_is_not_used(self, site: Namespace) -> None:
        """Anybody may have chosen its value. Deleted, it is followed by a new one."""

        def reasons() -> list[str]:
            return [found["reason"] for found in site.status("run", RUN).get("conditions", [])]

        site.patch("secret", SESSION_KEY, {"metadata": {"ownerReferences": None}})
        self.looked_at(site)
        until(lambda: "SessionKeyNotOwned" in reasons(), within=WITHIN, why=reasons)
        before = site.get("secret", SESSION_KEY)
        site.delete("secret", SESSION_KEY)
        after = comes_back(site, "secret", SESSION_KEY, lambda _: True, within=POLLED)
        assert after["data"] != before["data"]
        until(lambda: "SessionKeyNotOwned" not in reasons(), within=POLLED, why=reasons)


@pytest.mark.alone
def test_a_repair_writes_nothing_but_what_was_wrong(site: Namespace) -> None:
    """Every child is compared in each look, and the one that is made again shows that there was a look."""
    others = [(kind, name) for kind, name in ALL if kind != "rolebinding"]

    def versions() -> list[str]:
        return [site.get(kind, name)["metadata"]["resourceVersion"] for kind, name in others]

    def written() -> bool:
        """Return true if a repair wrote another object. Others write too: a web-proxy its usage, Kubernetes how pods are."""
        before = versions()
        for _ in range(2):
            site.delete("rolebinding", RUN)
            comes_back(site, "rolebinding", RUN, lambda _: True)
        return versions() != before

    until(lambda: not written(), within=20)
