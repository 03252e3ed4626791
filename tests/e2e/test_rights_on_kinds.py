"""Rows of docs/reference/rights.md beside AgentRuns (test_admission.py): what a right on another kind amounts to, with real accounts.

Each account has the rights of its row and no others.
"""

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import LONGEST, Endpoint, Namespace, Object, Refused, agent_run, instance, until

CREATE_RUNS = {"apiGroups": ["sympozium.ai"], "resources": ["agentruns"], "verbs": ["create"]}
CREATE_INSTANCES = {"apiGroups": ["sympozium.ai"], "resources": ["sympoziuminstances"], "verbs": ["create"]}
CREATE_PACKS = {"apiGroups": ["sympozium.ai"], "resources": ["skillpacks"], "verbs": ["create"]}
CREATE_CONFIGS = {"apiGroups": ["sympozium.ai"], "resources": ["sympoziumconfigs"], "verbs": ["create"]}
CREATE_JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}


class Tenant:
    """An account of a namespace with these rules of RBAC."""

    def __init__(self, namespace: Namespace, *rules: Object) -> None:
        self._namespace = namespace
        name, rbac = f"tenant-{secrets.token_hex(3)}", "rbac.authorization.k8s.io"
        self._user = f"--as=system:serviceaccount:{namespace.name}:{name}"
        about = {"metadata": {"name": name}}
        namespace.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", **about},
            {"apiVersion": f"{rbac}/v1", "kind": "Role", **about, "rules": list(rules)},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "RoleBinding",
                **about,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace.name}],
            },
        )

        until(lambda: self._may(rules[0]), within=10)  # API servers know a new RoleBinding a moment later

    def _may(self, rule: Object) -> bool:
        kind = ".".join(filter(None, (rule["resources"][0], rule["apiGroups"][0])))
        named = "/".join((kind, *rule.get("resourceNames", ())))
        with suppress(Refused):
            return "yes" in self._namespace.kubectl("auth", "can-i", rule["verbs"][0], named, self._user)
        return False

    def create(self, body: Object, *words: str) -> str:
        """Create an object; return its name. Raises Refused."""
        self._namespace.kubectl("create", "-f-", self._user, *words, stdin=json.dumps(body))
        return str(body["metadata"]["name"])

    def get(self, kind: str, name: str) -> Object:
        """Read an object. Raises Refused."""
        found: Object = json.loads(self._namespace.kubectl("get", kind, name, "-o", "json", self._user))
        return found


def new(prefix: str) -> str:
    """Return a name that no other test uses."""
    return f"{prefix}-{secrets.token_hex(3)}"


def keyed(namespace: Namespace, key: str, **labels: str) -> str:
    """Create a Secret with an entry ``api-key``; return its name."""
    name = new("keyed")
    about = {"name": name, "labels": labels}
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": {"api-key": key}})
    return name


def condition(namespace: Namespace, kind: str, name: str, type_: str, reason: str) -> Object:
    """Return a condition of an object, once it has this reason."""

    def look() -> Object | None:
        conditions = namespace.status(kind, name).get("conditions", [])
        return next((c for c in conditions if (c["type"], c["reason"]) == (type_, reason)), None)

    return until(look, within=30, why=lambda: namespace.status(kind, name))


class TestCreateSympoziumInstance:
    def test_a_model_key_of_the_namespace_goes_to_an_address_of_the_creators_choice(self, namespace: Namespace) -> None:
        tenant, secret = Tenant(namespace, CREATE_INSTANCES, CREATE_RUNS), keyed(namespace, "sk-of-the-namespace")
        refs = [{"provider": "openai", "secret": secret}]
        greedy = tenant.create(instance(new("greedy"), model="echo", authRefs=refs))
        run = tenant.create(agent_run(new("run"), agentRef=greedy, task="hello"))
        assert "sk-of-the-namespace" in namespace.run_ends(run)["result"]

    @pytest.mark.parametrize("whose", ["generated", "named"])
    def test_the_keys_of_other_instances_callers_do_not(self, namespace: Namespace, chat: Endpoint, whose: str) -> None:
        secret = f"{chat.run}-web-api-key"
        if whose == "named":
            secret = keyed(namespace, "sk-of-callers")
            namespace.apply(instance(new("named"), webEndpoint={"authSecretRef": secret}))
        tenant = Tenant(namespace, CREATE_INSTANCES, CREATE_RUNS)
        refs = [{"provider": "openai", "secret": secret}]
        greedy = tenant.create(instance(new("greedy"), model="echo", authRefs=refs))
        told = condition(namespace, "instance", greedy, "ModelReady", "SecretNotAllowed")
        assert told["message"].startswith(f"spec.authRefs[0]: the Secret {secret} holds API keys of callers")
        run = tenant.create(agent_run(new("run"), agentRef=greedy, task="hello"))
        assert namespace.run_ends(run)["error"]["type"] == "model_secret_refused"
        assert namespace.list("jobs", "-l", f"sympozium.ai/run={run}") == []


class TestCreateSkillPack:
    def test_its_instructions_reach_the_instances_that_name_it(self, namespace: Namespace) -> None:
        tenant = Tenant(namespace, CREATE_PACKS)
        skill = {"name": "style", "description": "How to write.", "content": "Always rhyme with 7c1d."}
        pack = tenant.create(skill_pack(new("manners"), skills=[skill]))
        named = new("polite")
        namespace.apply(instance(named, model="echo", skills=[{"skillPackRef": pack}]))
        condition(namespace, "instance", named, "Accepted", "Accepted")
        run = new("run")
        namespace.apply(agent_run(run, agentRef=named, task="hello"))
        assert "Always rhyme with 7c1d." in namespace.run_ends(run)["result"]

    def test_a_web_endpoint_of_the_namespaces_own_runs_no_image_of_its_own(self, bare: Namespace) -> None:
        sidecar = {"image": "attacker.example/web-proxy:1", "requiresServer": True, "secretRef": "database"}
        Tenant(bare, CREATE_PACKS).create(skill_pack("web-endpoint", sidecar=sidecar))
        bare.apply(instance("packed", webEndpoint={"enabled": True}))
        told = condition(bare, "instance", "packed", "Accepted", "SkillPackNotAllowed")
        assert "spec.sidecar.image" in told["message"]
        assert "spec.sidecar.secretRef" in told["message"]
        assert "attacker.example" not in json.dumps(bare.list("deployments"))


class TestSympoziumConfig:
    def test_it_has_no_effect_outside_of_the_operators_namespace(self, bare: Namespace) -> None:
        spec = {"gateway": {"enabled": True, "gatewayClassName": "any", "baseDomain": "attacker.example"}}
        body = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SympoziumConfig", "metadata": {"name": "default"}}
        Tenant(bare, CREATE_CONFIGS).create(body | {"spec": spec})
        told = condition(bare, "sympoziumconfig", "default", "Accepted", "NoEffect")
        assert told["status"] == "False"


class TestLabelASecret:
    def test_every_run_of_the_namespace_may_send_its_key(self, namespace: Namespace) -> None:
        secret = keyed(namespace, "sk-labelled", **{"sympozium.ai/model-key": "true"})
        model = {"model": "echo", "authSecretRef": secret}
        run = Tenant(namespace, CREATE_RUNS).create(agent_run(new("run"), task="hello", model=model))
        assert "sk-labelled" in namespace.run_ends(run)["result"]

    def test_without_the_label_no_run_may(self, namespace: Namespace) -> None:
        model = {"model": "echo", "authSecretRef": keyed(namespace, "sk-unlabelled")}
        run = Tenant(namespace, CREATE_RUNS).create(agent_run(new("run"), task="hello", model=model))
        assert namespace.run_ends(run)["error"]["type"] == "model_secret_refused"


class TestCreateJobs:
    def test_any_secret_of_the_namespace_can_be_mounted(self, namespace: Namespace, webproxy_image: str) -> None:
        """Kubernetes allows that, with or without Sympozium: the API server accepts the Job, which is not kept."""
        body = job(new("thief"), webproxy_image)
        volume = {"name": "key", "secret": {"secretName": keyed(namespace, "sk-mounted")}}
        body["spec"]["template"]["spec"]["volumes"] = [volume]
        Tenant(namespace, CREATE_JOBS).create(body, "--dry-run=server")

    def test_one_that_imitates_an_idle_one_is_deleted_as_one(self, namespace: Namespace, webproxy_image: str) -> None:
        quiet = namespace.get("instance", "quiet")
        about = {"apiVersion": quiet["apiVersion"], "kind": quiet["kind"], "controller": True}
        owner = about | {"name": "quiet", "uid": quiet["metadata"]["uid"]}
        labels = {"app.kubernetes.io/managed-by": "sympozium-operator", "app.kubernetes.io/component": "agent"}
        labels |= {"sympozium.ai/instance": "quiet", "sympozium.ai/warm": "idle"}
        body = job(f"quiet-warm-01234567-{secrets.token_hex(3)}", webproxy_image)
        body["metadata"] |= {"labels": labels, "ownerReferences": [owner]}
        name = Tenant(namespace, CREATE_JOBS).create(body)
        until(lambda: not namespace.kubectl("get", "job", name, "--ignore-not-found"), within=90)


class TestGetSecret:
    def test_an_api_key_secret_is_the_api_of_its_instance(self, namespace: Namespace, chat: Endpoint) -> None:
        secret = f"{chat.run}-web-api-key"
        rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": ["get"]}
        key = base64.b64decode(Tenant(namespace, rule).get("secret", secret)["data"]["api-key"]).decode()
        answer = httpx2.get(f"{chat.url}/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=LONGEST)
        assert answer.status_code == 200


@pytest.fixture(scope="module")
def bare() -> Iterator[Namespace]:
    """A namespace of these tests' own, because a SkillPack web-endpoint concerns all web endpoints of its namespace."""
    found = Namespace(new("e2e"))
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name}})
    yield found
    found.remove()


def skill_pack(name: str, **spec: Any) -> Object:
    body = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SkillPack", "metadata": {"name": name}}
    return body | {"spec": spec}


def job(name: str, image: str) -> Object:
    """A Job that ends at once, in a pod that Pod Security ``restricted`` lets in."""
    container = {
        "name": "agent",
        "image": image,
        "command": ["python", "-c", "pass"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    about = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
    return about | {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}
