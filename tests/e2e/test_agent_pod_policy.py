"""The chart's admission policy of agents' pods: what the operator makes is admitted, and nothing that differs where it matters."""

import copy
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.e2e.chart_rendering import pick, rendered
from tests.e2e.conftest import Namespace, Object, Refused, until

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_operator.desired.agent_job import AgentPod, IdlePodInput, build_idle

IMAGE = "registry.example.com/sympozium-webproxy"
SECRET = {"name": "key", "secret": {"secretName": "keys"}}
OWN_TOKEN = {"serviceAccountToken": {"path": "token"}}
OTHER_TOKEN = {"serviceAccountToken": {"path": "token", "audience": "sympozium-egress"}}


def agent_pod(namespace: str, image: str = f"{IMAGE}:1.2.3") -> Object:
    """The pod that the Job controller makes of what the operator makes."""
    spec = {"agents": {"default": {"model": "m"}}, "authRefs": [{"provider": "openai", "secret": "keys"}]}
    metadata = {"name": "helper", "namespace": namespace, "uid": "u"}
    instance = SympoziumInstance.model_validate({"metadata": metadata, "spec": spec})
    agent = AgentPod(image, "Never", {}, "http://runs:8081")
    template = build_idle(instance, agent, IdlePodInput(60), "abcdef")["spec"]["template"]
    metadata = {"name": "pod", "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    """A namespace in which the policy holds, and only there."""
    name = f"e2e-{secrets.token_hex(3)}"
    found = Namespace(name)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": names.agent_service_account("helper")},
    }
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    found.apply(account)
    settings = {"admissionPolicies": {"agentPods": {"enabled": True, "images": ["registry.example.com/mesh:*"]}}}
    documents = rendered(of={**settings, "agent": {"image": f"{IMAGE}:9"}})
    policy = pick(documents, "ValidatingAdmissionPolicy", "sympozium-agent-pods")
    binding = pick(documents, "ValidatingAdmissionPolicyBinding", "sympozium-agent-pods")
    for each in (policy, binding):
        each["metadata"] = {"name": f"{name}-agent-pods"}
    binding["spec"] |= {"policyName": f"{name}-agent-pods"}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    binding["spec"]["matchResources"] = {"namespaceSelector": selector}
    everywhere = Namespace("default")
    for each in (policy, binding):
        everywhere.kubectl("apply", "-f-", stdin=json.dumps(each))
    try:
        until(
            lambda: refusal(found, _image("docker.io/evil:1")) is not None, within=60
        )  # seconds until it is effective
        yield found
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            everywhere.kubectl("delete", kind, f"{name}-agent-pods", "--ignore-not-found")
        everywhere.delete("namespace", name, "--wait=false")


def refusal(namespace: Namespace, change: Callable[[Any], Any]) -> str | None:
    """The API server's refusal of an agent's pod that was changed; None: it would be created."""
    pod = agent_pod(namespace.name)
    change(pod)
    try:
        namespace.kubectl("create", "--dry-run=server", "-f-", stdin=json.dumps(pod))
    except Refused as error:
        return str(error)
    return None


def _spec(**fields: Any) -> Callable[[Any], Any]:
    return lambda pod: pod["spec"].update(fields)


def _container(**fields: Any) -> Callable[[Any], Any]:
    return lambda pod: pod["spec"]["containers"][0].update(fields)


def _image(image: str) -> Callable[[Any], Any]:
    return _container(image=image)


def _security(**fields: Any) -> Callable[[Any], Any]:
    return lambda pod: pod["spec"]["containers"][0]["securityContext"].update(fields)


def _beside(**fields: Any) -> Callable[[Any], Any]:
    def change(pod: Any) -> None:
        other = copy.deepcopy(pod["spec"]["containers"][0]) | {"name": "other"} | fields
        pod["spec"]["containers"].append(other)

    return change


def _volume(**fields: Any) -> Callable[[Any], Any]:
    return lambda pod: pod["spec"]["volumes"].append({"name": "more", **fields})


ADMITTED = [
    _image(f"{IMAGE}:9.9.9"),
    _image(f"{IMAGE}@sha256:{'0' * 64}"),
    _beside(image="registry.example.com/mesh:1"),
    _volume(emptyDir={}),
    lambda pod: pod["metadata"]["labels"].pop("app.kubernetes.io/component"),
]
REFUSED = [
    (_image("docker.io/evil:1"), "only images"),
    (_image(f"{IMAGE}-evil:1"), "only images"),
    (_image(f"evil.org/{IMAGE}:1"), "only images"),
    (_beside(image="docker.io/evil:1"), "only images"),
    (_spec(initContainers=[{"name": "first", "image": "docker.io/evil:1"}]), "only images"),
    (_spec(hostNetwork=True), "no namespace of its node"),
    (_spec(hostPID=True), "no namespace of its node"),
    (_spec(hostIPC=True), "no namespace of its node"),
    (_container(ports=[{"containerPort": 80, "hostPort": 80}]), "no port of its node"),
    (_volume(hostPath={"path": "/"}), "only volumes of the types"),
    (_volume(persistentVolumeClaim={"claimName": "data"}), "only volumes of the types"),
    (_volume(projected={"sources": [OWN_TOKEN]}), "no token of its service account"),
    (_volume(projected={"sources": [OTHER_TOKEN]}), "no token of its service account"),
    (_spec(automountServiceAccountToken=True), "no token of its service account"),
    (_spec(serviceAccountName="default"), "the service account of its instance"),
    (_container(envFrom=[{"secretRef": {"name": "keys"}}]), "no variable from another object"),
    (
        _container(env=[{"name": "K", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}}]),
        "no variable from another object",
    ),
    (_security(privileged=True, allowPrivilegeEscalation=True), "is restricted"),
    (_security(allowPrivilegeEscalation=True), "is restricted"),
    (_security(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}), "is restricted"),
    (_security(capabilities={}), "is restricted"),
    (_security(runAsUser=0), "is restricted"),
    (_security(seccompProfile={"type": "Unconfined"}), "is restricted"),
    (_spec(securityContext={"runAsUser": 65532}), "is restricted"),
]


def test_the_operators_own_pod_is_admitted_and_harmless_changes_of_it(namespace: Namespace) -> None:
    assert refusal(namespace, lambda _: None) is None
    for number, change in enumerate(ADMITTED):
        assert refusal(namespace, change) is None, number


def test_a_pod_that_only_looks_like_an_agents_is_refused(namespace: Namespace) -> None:
    found = [(number, refusal(namespace, change), words) for number, (change, words) in enumerate(REFUSED)]
    assert [(number, text) for number, text, words in found if words not in (text or "")] == []


def test_no_container_is_added_to_a_running_agent_and_no_label_to_another_pod(namespace: Namespace) -> None:
    pod = agent_pod(namespace.name)
    gate = {"schedulingGates": [{"name": "example.com/never"}]}
    namespace.kubectl("create", "-f-", stdin=json.dumps(pod | {"spec": pod["spec"] | gate}))
    debugger = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "docker.io/busybox:1"}]}}
    words = ("patch", "pod", "pod", "--subresource=ephemeralcontainers", "--type=strategic", "-p", json.dumps(debugger))
    with pytest.raises(Refused, match=r"only images|is restricted"):
        namespace.kubectl(*words)
    other = {"name": "other", "image": "docker.io/evil:1"}
    plain = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain"}, "spec": {"containers": [other]} | gate}
    namespace.kubectl("create", "-f-", stdin=json.dumps(plain))
    with pytest.raises(Refused, match="only images"):
        namespace.patch("pod", "plain", {"metadata": {"labels": pod["metadata"]["labels"]}})
