"""Rules 3, 4, 5 and 12, read from what really runs in the cluster."""

import json
import subprocess
from typing import Any

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, agent_run, until

PROMPT = "a-prompt-that-must-not-be-seen-7c1d"


@pytest.fixture(scope="module")
def agent_pod(namespace: Namespace) -> Object:
    """A running agent pod, with a provider's Secret, of a run with a prompt that can be recognised."""
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "held", "labels": {"sympozium.ai/model-key": "true"}},
            "stringData": {"api-key": "sk-held"},
        },
        agent_run("held", task=PROMPT, model={"model": "hang", "authSecretRef": "held"}),
    )
    until(lambda: namespace.status("run", "held").get("phase") == "Running", within=30)
    [pod] = namespace.list("pods", "-l", "sympozium.ai/run=held")
    return pod


def hardened(pod: Object) -> None:
    """Assert the security settings that each of our pods has."""
    spec: dict[str, Any] = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]


class TestAgentPod:
    def test_it_is_hardened(self, agent_pod: Object) -> None:
        hardened(agent_pod)

    def test_its_only_token_is_for_the_runs_surface(self, agent_pod: Object) -> None:
        assert agent_pod["spec"]["automountServiceAccountToken"] is False
        projected = [
            source for v in agent_pod["spec"]["volumes"] for source in v.get("projected", {}).get("sources", [])
        ]
        assert [source["serviceAccountToken"]["audience"] for source in projected] == ["sympozium-runs"]

    def test_it_never_starts_again(self, namespace: Namespace, agent_pod: Object) -> None:
        [owner] = agent_pod["metadata"]["ownerReferences"]
        job = namespace.get("job", owner["name"])
        assert agent_pod["spec"]["restartPolicy"] == "Never"
        assert job["spec"]["backoffLimit"] == 0
        assert job["spec"]["activeDeadlineSeconds"] > 0
        assert [reference["kind"] for reference in job["metadata"]["ownerReferences"]] == ["AgentRun"]

    def test_no_prompt_and_no_key_is_anywhere_but_in_the_run(self, namespace: Namespace, agent_pod: Object) -> None:
        seen = json.dumps([agent_pod, *namespace.list("jobs"), *namespace.list("pods"), *namespace.list("events")])
        seen += namespace.kubectl("logs", agent_pod["metadata"]["name"])
        assert PROMPT not in seen
        assert "sk-held" not in seen

    def test_its_service_account_has_no_rights(self, namespace: Namespace, agent_pod: Object) -> None:
        account = f"system:serviceaccount:{namespace.name}:{agent_pod['spec']['serviceAccountName']}"
        for verb, kind in (("get", "secrets"), ("get", "agentruns"), ("list", "pods"), ("create", "pods")):
            assert not may(namespace, account, verb, kind)

    def test_its_token_opens_only_its_own_run(self, namespace: Namespace, agent_pod: Object) -> None:
        """Asked from inside the pod, with the pod's own token."""
        namespace.apply(agent_run("other", task="x", model={"model": "hang"}))
        until(lambda: namespace.status("run", "other").get("phase") == "Running", within=30)
        ask = (
            "import urllib.request as u, urllib.error as e, sys\n"
            "token = open('/var/run/secrets/sympozium.ai/runs/token').read()\n"
            "for run in sys.argv[1:]:\n"
            "    q = u.Request(f'http://sympozium-runs.sympozium-system.svc:8081/runs/{run}/task',"
            " headers={'Authorization': 'Bearer ' + token})\n"
            "    try: print(u.urlopen(q).status)\n"
            "    except e.HTTPError as error: print(error.code)\n"
        )
        answers = namespace.kubectl(
            "exec", agent_pod["metadata"]["name"], "--", "python", "-c", ask, "held", "other", "none"
        )
        assert answers.split() == ["200", "403", "404"]
        namespace.patch("run", "other", {"spec": {"cancel": True}})


def may(namespace: Namespace, account: str, verb: str, kind: str) -> bool:
    done = subprocess.run(
        ["kubectl", "-n", namespace.name, "auth", "can-i", verb, kind, f"--as={account}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() == "yes"


class TestWebProxy:
    def test_it_is_hardened(self, chat: Endpoint) -> None:
        [pod] = chat.pods()
        hardened(pod)
        assert chat.key not in json.dumps(pod)

    @pytest.mark.parametrize(
        ("verb", "kind", "allowed"),
        [
            ("create", "agentruns", True),
            ("watch", "agentruns", True),
            ("patch", "agentruns/status", True),
            ("create", "agentrunparts", True),
            ("get", "agentrunparts", True),
            ("list", "agentrunparts", False),
            ("patch", "agentrunparts", False),
            ("delete", "agentrunparts", False),
            ("get", "sympoziuminstances/chat", True),
            ("get", "sympoziuminstances/quiet", False),
            ("list", "sympoziuminstances", False),
            ("delete", "agentruns", False),
            ("get", "secrets", False),
            ("list", "secrets", False),
            ("create", "jobs", False),
            ("get", "pods", False),
        ],
    )
    def test_it_may_do_what_it_does_and_nothing_else(self, chat: Endpoint, verb: str, kind: str, allowed: bool) -> None:
        account = f"system:serviceaccount:{chat.namespace.name}:{chat.run}"
        assert may(chat.namespace, account, verb, kind) is allowed


def test_the_system_is_hardened(system: Namespace) -> None:
    pods = system.list("pods", "-l", "app.kubernetes.io/part-of=sympozium")
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}
    assert components == {"operator", "runs", "console", "egress"}
    for pod in pods:
        hardened(pod)


def test_all_that_was_made_belongs_to_an_owner_in_its_own_namespace(chat: Endpoint) -> None:
    """Rule 12 and rule 10: an owner is found by name and uid among the namespace's own objects."""
    until(lambda: not strays(chat.namespace), within=30, why=lambda: strays(chat.namespace))


def strays(namespace: Namespace) -> list[str]:
    """The operator's objects whose owners are not there: Kubernetes deletes those of a deleted owner a moment after it."""
    children = ("deployments", "services", "serviceaccounts", "roles", "rolebindings", "secrets", "configmaps")
    objects = [found for kind in (*children, "runs", "skillpacks", "instances") for found in namespace.list(kind)]
    uids = {found["metadata"]["uid"] for found in objects}
    owners = {
        f"{found['kind']} {found['metadata']['name']}": {
            owner["uid"] for owner in found["metadata"].get("ownerReferences", ())
        }
        for found in objects
        if needs_owner(found["kind"], found["metadata"].get("labels", {}))
    }
    assert len(owners) > 6
    return [title for title, of in owners.items() if not of or not of <= uids]


def needs_owner(kind: str, labels: dict[str, str]) -> bool:
    """All that the operator made, but the egress guard's right, which a namespace's Tools share, and what is a Secret's own owner."""
    is_ours = labels.get("app.kubernetes.io/managed-by") == "sympozium-operator"
    is_owner = kind == "ConfigMap" and "sympozium.ai/credentials" in labels
    return is_ours and not is_owner and labels["app.kubernetes.io/component"] != "egress"
