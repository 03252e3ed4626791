"""Credentials that callers of the console send: what the console's account may create, on a cluster with the chart's policies.

Here the account has all rights on Secrets and ConfigMaps of one namespace, so what is refused is refused by a policy.
"""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.conftest import Namespace, Object, Refused, until

from sympozium_api import credentials

CONSOLE = "system:serviceaccount:sympozium-system:sympozium-console"
RBAC = "rbac.authorization.k8s.io"


def all_rights() -> list[Object]:
    rules = [{"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["*"]}]
    binding = {
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "stores"},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": CONSOLE}],
    }
    head = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": "stores"}}
    return [head | {"kind": "Role", "rules": rules}, head | {"kind": "RoleBinding"} | binding]


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    namespace = Namespace(f"e2e-{secrets.token_hex(3)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    namespace.apply(*all_rights())
    yield namespace
    Namespace("default").delete("namespace", namespace.name, "--wait=false")


def store(namespace: Namespace, body: Object) -> Object:
    """Create an object as the console; return it. Raises Refused."""
    namespace.kubectl("create", "-f-", f"--as={CONSOLE}", stdin=json.dumps(body))
    return namespace.get(body["kind"], body["metadata"]["name"])


def owner_of(namespace: Namespace) -> Object:
    return credentials.owner(namespace.name, credentials.new_name())


def test_the_console_stores_them_and_they_go_with_their_owner(space: Namespace) -> None:
    owner = store(space, owner_of(space))
    name = owner["metadata"]["name"]
    secret = store(space, credentials.secret(owner, {"api-key": b"k"}, for_tools=True))
    assert secret["metadata"]["labels"]["sympozium.ai/tool-key"] == "true"
    space.delete("configmap", name)
    until(lambda: not space.kubectl("get", "secret", name, "--ignore-not-found"), within=60)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("metadata", {"name": "tool-secrets"}, "20 hexadecimal digits"),
        ("metadata", {"labels": {}}, "has the label sympozium.ai/credentials"),
        ("metadata", {"labels": {"sympozium.ai/credentials": "true", "team": "a"}}, "none that others act on"),
        ("metadata", {"annotations": {"replicate-to": "all"}}, "neither annotations nor finalizers"),
        ("metadata", {"finalizers": ["example.com/stays"]}, "neither annotations nor finalizers"),
        ("metadata", {"ownerReferences": []}, "owned by the ConfigMap of its name"),
        ("type", "kubernetes.io/basic-auth", "Opaque and immutable"),
        ("immutable", False, "Opaque and immutable"),
    ],
)
def test_the_console_creates_no_other_secret(space: Namespace, part: str, changes: Any, message: str) -> None:
    owner = owner_of(space)
    owner["metadata"]["uid"] = "of-an-owner"
    body = credentials.secret(owner, {"username": b"u", "password": b"p"}, for_tools=False)
    body[part] = body["metadata"] | changes if part == "metadata" else changes
    with pytest.raises(Refused, match=message):
        store(space, body)


def test_the_console_creates_no_other_configmap(space: Namespace) -> None:
    owner = owner_of(space)
    with pytest.raises(Refused, match="is empty, and owned by nothing"):
        store(space, owner | {"data": {"agent.json": "{}"}})
    with pytest.raises(Refused, match="20 hexadecimal digits"):
        store(space, owner | {"metadata": owner["metadata"] | {"name": "alice-installed-skills"}})


def test_the_console_changes_none(space: Namespace) -> None:
    owner = owner_of(space)
    space.apply(owner)
    words = ("patch", "configmap", owner["metadata"]["name"], f"--as={CONSOLE}", "-p", '{"data": {"a": "b"}}')
    with pytest.raises(Refused, match="changes no Secret and no ConfigMap"):
        space.kubectl(*words)


def test_others_are_not_bounded(space: Namespace) -> None:
    head = {"apiVersion": "v1", "metadata": {"name": f"own-{secrets.token_hex(4)}"}}
    space.apply(head | {"kind": "Secret", "type": "example.com/own", "stringData": {"a": "b"}})
    space.apply(head | {"kind": "ConfigMap", "data": {"a": "b"}})
