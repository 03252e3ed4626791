"""Versions of agents on a real API server, and the policy that keeps the console from any other ControllerRevision.

Here the account has all rights on ControllerRevisions of one namespace, so what is refused is refused by the policy.
"""

import json
import secrets
from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Namespace, Object, Refused, instance, until

from sympozium_api.instance import SympoziumInstance
from sympozium_domain.agents.versions import AgentVersion

CONSOLE = "system:serviceaccount:sympozium-system:sympozium-console"
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    namespace = Namespace(f"e2e-{secrets.token_hex(3)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    head = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": "revisions"}}
    rules = [{"apiGroups": ["apps"], "resources": ["controllerrevisions"], "verbs": ["*"]}]
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": CONSOLE}]
    role = {"apiGroup": RBAC, "kind": "Role", "name": "revisions"}
    namespace.apply(
        head | {"kind": "Role", "rules": rules},
        head | {"kind": "RoleBinding", "roleRef": role, "subjects": subjects},
        instance("ada", memory={"systemPrompt": "Be brief."}),
    )
    yield namespace
    Namespace("default").delete("namespace", namespace.name, "--wait=false")


def revision(space: Namespace, number: int) -> Object:
    ada = SympoziumInstance.model_validate(space.get("instance", "ada"))
    return AgentVersion.of_spec(ada, number).revision(ada, "0" * 32)


def create(space: Namespace, body: Object) -> None:
    """Create a ControllerRevision as the console. Raises Refused."""
    space.kubectl("create", "-f-", f"--as={CONSOLE}", stdin=json.dumps(body))


def test_a_version_never_changes_and_has_its_number_once(space: Namespace) -> None:
    create(space, revision(space, 1))
    stored = space.get("controllerrevision", "ada-v1")
    ada = SympoziumInstance.model_validate(space.get("instance", "ada"))
    assert AgentVersion.of_revision(stored) == AgentVersion.of_spec(ada, 1)
    with pytest.raises(Refused, match="already exists"):
        create(space, revision(space, 1))
    with pytest.raises(Refused, match="immutable"):
        space.kubectl("patch", "controllerrevision", "ada-v1", "--type=merge", "-p", '{"data": {"prompt": "x"}}')
    with pytest.raises(Refused, match="changes no ControllerRevision"):
        space.kubectl("label", "controllerrevision", "ada-v1", "a=b", f"--as={CONSOLE}")


def test_the_console_creates_no_other_controller_revision(space: Namespace) -> None:
    body = revision(space, 7)
    owner = body["metadata"]["ownerReferences"][0]
    for changes, message in (
        ({"name": "ada-v8"}, "named after it and the revision"),
        ({"ownerReferences": []}, "owned by an instance"),
        ({"ownerReferences": [owner | {"apiVersion": "apps/v1", "kind": "StatefulSet"}]}, "owned by an instance"),
        ({"labels": {"app": "database"}}, "no label that others act on"),
        ({"annotations": {"a": "b"}}, "no annotations"),
        ({"finalizers": ["example.com/stays"]}, "no finalizers"),
    ):
        with pytest.raises(Refused, match=message):
            create(space, body | {"metadata": body["metadata"] | changes})


def test_versions_go_with_their_instance(space: Namespace) -> None:
    space.delete("instance", "ada")
    until(lambda: not space.list("controllerrevisions"), within=60)
