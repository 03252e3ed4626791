"""The charts as Helm renders them. Helm is the one on the PATH (``. .local/env``); a cluster is asked only by what the notes say."""

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.crd_schema import violations
from tests.contract.documents import ROOT
from tests.e2e.conftest import Endpoint, Namespace
from tests.unit.operator.golden import matches

from sympozium_api.generate.crds import KINDS, definition
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import SkillPack
from sympozium_operator.desired.rbac import server_access
from sympozium_operator.operator_settings import from_environment

CHART = ROOT / "charts/sympozium"
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
NAMESPACE = "agents-system"


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False, timeout=60)


def rendered(*values: str, of: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The chart with values as after --set, or ``of`` a whole document of them."""
    settings = [part for value in values for part in ("--set", value)]
    settings += [part for name, value in (of or {}).items() for part in ("--set-json", f"{name}={json.dumps(value)}")]
    done = helm("template", "release", str(CHART), "--namespace", NAMESPACE, *settings)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pick(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [item for item in documents if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def pod_of(documents: list[dict[str, Any]], deployment: str) -> dict[str, Any]:
    spec: dict[str, Any] = pick(documents, "Deployment", deployment)["spec"]["template"]["spec"]
    return spec


def variables(pod: dict[str, Any]) -> dict[str, str]:
    [container] = pod["containers"]
    return {variable["name"]: variable.get("value", "from-the-pod") for variable in container.get("env", [])}


DIGEST = f"sha256:{'0123456789abcdef' * 4}"
SCHEDULING: dict[str, Any] = {
    "nodeSelector": {"pool": "agents"},
    "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "agents", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]}}
            ]
        }
    },
    "priorityClassName": "low",
    "podLabels": {"team": "a", "app.kubernetes.io/component": "mine"},
    "podAnnotations": {"example.com/scrape": "no"},
}
ACCOUNT = {
    "serviceAccount": {"annotations": {"example.com/identity": "a"}},
    "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/ca.pem"}],
}
EVERYTHING: dict[str, Any] = {
    "images": {
        "registry": "registry.example.com:5000/team",
        "pullPolicy": "Always",
        "pullSecrets": ["registry"],
        "operator": {"tag": "v2"},
        "webproxy": {"digest": DIGEST},
    },
    "operator": {"replicas": 2, "logLevel": "debug"} | SCHEDULING | ACCOUNT,
    "runsServer": {"replicas": 2} | SCHEDULING | ACCOUNT,
    "webProxy": SCHEDULING,
    "agent": SCHEDULING,
    "runs": {"retention": "1h", "kept": 10, "failedJobRetention": "1m", "startTimeout": "1m30s"},
    "console": {"replicas": 2} | SCHEDULING | ACCOUNT,
    "tracing": {"endpoint": "http://collector:4318", "sampleRatio": 0.1},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "10s"},
        "dashboard": {"enabled": True, "labels": {"team": "a"}},
    },
    "networkPolicies": {"extraAgentEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 3000}]}]},
}


@pytest.mark.parametrize(("scenario", "values"), [("defaults", {}), ("everything", EVERYTHING)])
def test_the_chart_is_as_reviewed(scenario: str, values: dict[str, Any]) -> None:
    """Every value is in one of the two, so that a change of any template is seen; ``UPDATE_GOLDEN=1`` writes them anew."""
    documents = rendered(of=values)
    for item in documents:
        if item["kind"] == "Secret":
            item["data"]["token"] = "another one each time"
    assert matches(scenario, *documents, folder="chart")


@pytest.mark.parametrize("chart", ["sympozium", "sympozium-crds"])
def test_helm_finds_nothing_to_complain_about(chart: str) -> None:
    done = helm("lint", "--strict", str(ROOT / "charts" / chart))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("deployment", ["sympozium-operator", "sympozium-runs", "sympozium-console"])
def test_pods_pass_pod_security_restricted_with_a_root_that_nobody_writes(deployment: str) -> None:
    pod = pod_of(rendered(), deployment)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert [set(volume) for volume in pod.get("volumes", [])] in ([], [{"name", "secret"}])
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]


def test_the_operator_accepts_what_the_chart_tells_it() -> None:
    settings = from_environment(variables(pod_of(rendered(), "sympozium-operator")))
    assert settings.agent_image == f"sympozium/webproxy:{VERSION}"
    assert settings.runs_url == f"http://sympozium-runs.{NAMESPACE}.svc:8081"
    assert settings.agent_resources["limits"] == {"cpu": "1", "memory": "256Mi"}
    assert (settings.start_timeout, settings.failed_job_retention, settings.run_retention) == (45, 600, 86400)
    assert settings.runs_kept == 1000


def test_values_reach_the_operator() -> None:
    documents = rendered(
        "images.registry=registry.example.com:5000/team",
        "images.webproxy.tag=v2",
        "images.pullPolicy=Always",
        "runs.startTimeout=1m30s",
        "runs.kept=5",
        "operator.logLevel=debug",
        "agent.resources.requests.cpu=10m",
    )
    settings = from_environment(variables(pod_of(documents, "sympozium-operator")))
    assert settings.agent_image == "registry.example.com:5000/team/sympozium/webproxy:v2"
    assert settings.image_pull_policy == "Always"
    assert (settings.start_timeout, settings.runs_kept, settings.log_level) == (90, 5, "debug")
    assert settings.agent_resources["requests"]["cpu"] == "10m"
    assert variables(pod_of(documents, "sympozium-operator"))["SYMPOZIUM_NAMESPACE"] == "from-the-pod"


def test_scheduling_reaches_every_pod_and_labels_of_ours_stay() -> None:
    documents = rendered(of=EVERYTHING)
    settings = from_environment(variables(pod_of(documents, "sympozium-operator")))
    scheduling = {name: SCHEDULING[name] for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName")}
    for pod in (settings.agent_pod, settings.web_proxy_pod):
        assert pod["spec"] == scheduling
        assert pod["metadata"] == {"labels": SCHEDULING["podLabels"], "annotations": SCHEDULING["podAnnotations"]}
    for name, component in (("sympozium-operator", "operator"), ("sympozium-runs", "runs")):
        template = pick(documents, "Deployment", name)["spec"]["template"]
        assert scheduling.items() <= template["spec"].items()
        assert template["metadata"]["labels"]["team"] == "a"
        assert template["metadata"]["labels"]["app.kubernetes.io/component"] == component
        assert {"name": "SSL_CERT_FILE", "value": "/ca.pem"} in template["spec"]["containers"][0]["env"]


def test_what_agents_may_reach_besides_is_told_to_the_operator() -> None:
    settings = from_environment(variables(pod_of(rendered(of=EVERYTHING), "sympozium-operator")))
    assert settings.network_policies
    assert list(settings.extra_agent_egress) == EVERYTHING["networkPolicies"]["extraAgentEgress"]


def test_without_network_policies_there_are_none() -> None:
    documents = rendered("networkPolicies.enabled=false")
    assert not [item for item in documents if item["kind"] == "NetworkPolicy"]
    assert not from_environment(variables(pod_of(documents, "sympozium-operator"))).network_policies


def test_a_network_policy_selects_the_pods_of_its_name_and_opens_their_port() -> None:
    documents = rendered()
    policies = [item for item in documents if item["kind"] == "NetworkPolicy"]
    assert policies
    for policy in policies:
        template = pick(documents, "Deployment", policy["metadata"]["name"])["spec"]["template"]
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        ports = [port["name"] for port in template["spec"]["containers"][0]["ports"]]
        assert [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]] == ports


def test_only_several_replicas_have_a_disruption_budget() -> None:
    assert not [item for item in rendered() if item["kind"] == "PodDisruptionBudget"]
    documents = rendered("operator.replicas=2")
    [budget] = [item for item in documents if item["kind"] == "PodDisruptionBudget"]
    assert budget["spec"]["selector"] == pick(documents, "Deployment", "sympozium-operator")["spec"]["selector"]
    assert budget["spec"]["maxUnavailable"] == 1


def test_a_digest_takes_the_place_of_the_tag() -> None:
    documents = rendered("images.registry=r.example.com", "images.webproxy.tag=v2", f"images.webproxy.digest={DIGEST}")
    image = f"r.example.com/sympozium/webproxy@{DIGEST}"
    assert pod_of(documents, "sympozium-runs")["containers"][0]["image"] == image
    assert pick(documents, "SkillPack", "web-endpoint")["spec"]["sidecar"]["image"] == image
    assert from_environment(variables(pod_of(documents, "sympozium-operator"))).agent_image == image


def test_all_of_one_image_is_one_image() -> None:
    documents = rendered("images.registry=r.example.com", "images.webproxy.tag=v2")
    image = "r.example.com/sympozium/webproxy:v2"
    assert pod_of(documents, "sympozium-runs")["containers"][0]["image"] == image
    assert pick(documents, "SkillPack", "web-endpoint")["spec"]["sidecar"]["image"] == image
    assert (
        pod_of(documents, "sympozium-operator")["containers"][0]["image"]
        == f"r.example.com/sympozium/operator:{VERSION}"
    )


def test_the_console_is_left_out_whole() -> None:
    there = [item["kind"] for item in rendered() if item["metadata"]["name"].startswith("sympozium-console")]
    assert len(there) == 7
    assert not [item for item in rendered("console.enabled=false") if "console" in item["metadata"]["name"]]


def test_the_consoles_token_is_random_or_ones_own() -> None:
    made = [pick(rendered(), "Secret", "sympozium-console-token")["data"]["token"] for _ in range(2)]
    assert made[0] != made[1]
    assert all(len(base64.b64decode(token)) == 48 for token in made)
    own = rendered("console.tokenSecret=own")
    assert not [item for item in own if item["kind"] == "Secret"]
    assert pod_of(own, "sympozium-console")["volumes"] == [{"name": "tokens", "secret": {"secretName": "own"}}]


def test_the_built_in_skill_is_a_server_that_its_crd_takes() -> None:
    found = pick(rendered(), "SkillPack", "web-endpoint")
    [kind] = [kind for kind in KINDS if kind.model is SkillPack]
    schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(violations(found, schema)) == []
    sidecar = SkillPack.model_validate(found).spec.sidecar
    assert sidecar
    assert sidecar.requires_server
    assert sidecar.command == ["python", "-m", "sympozium_webproxy"]
    assert [(port.name, port.container_port) for port in sidecar.ports] == [("http", 8080), ("runs", 8081)]


def test_selectors_find_their_pods_and_no_others() -> None:
    documents = rendered()
    templates = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"]
        for item in documents
        if item["kind"] == "Deployment"
    }
    for item in documents:
        if item["kind"] in ("Deployment", "Service"):
            selector = item["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            hit = [name for name, labels in templates.items() if selector.items() <= labels.items()]
            assert hit == [item["metadata"]["name"]]


def test_nobody_may_list_secrets_or_has_every_right() -> None:
    for item in rendered():
        for rule in item.get("rules", []) if item["kind"] in ("Role", "ClusterRole") else []:
            assert "*" not in [word for words in rule.values() for word in words]
            assert not {"escalate", "bind", "impersonate", "deletecollection"} & set(rule["verbs"])
            if "secrets" in rule.get("resources", []):
                assert item["metadata"]["name"] == "sympozium-operator"
                assert not {"list", "watch"} & set(rule["verbs"])


class TestAListOfNamespaces:
    LIST = "namespaces={team-a,team-b}"
    SERVED = ("team-a", "team-b", NAMESPACE)

    def test_nothing_is_cluster_wide(self) -> None:
        assert {item["kind"] for item in rendered()} >= {"ClusterRole", "ClusterRoleBinding"}
        assert not [item["metadata"]["name"] for item in rendered(self.LIST) if item["kind"].startswith("Cluster")]

    @pytest.mark.parametrize("name", ["sympozium-operator", "sympozium-runs"])
    def test_each_of_them_has_the_same_rules_as_the_whole_cluster(self, name: str) -> None:
        whole = pick(rendered(), "ClusterRole", name)["rules"]
        listed = rendered(self.LIST)
        roles = [item for item in listed if item["kind"] == "Role" and item["metadata"]["name"] == name]
        bindings = [item for item in listed if item["kind"] == "RoleBinding" and item["metadata"]["name"] == name]
        assert tuple(role["metadata"]["namespace"] for role in roles) == self.SERVED
        assert tuple(binding["metadata"]["namespace"] for binding in bindings) == self.SERVED
        of_no_namespace = [rule for rule in whole if rule.get("resources", []) in ([], ["nodes"], ["gatewayclasses"])]
        for role in roles:
            assert [*role["rules"], *of_no_namespace] == whole
        for binding in bindings:
            assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
            assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}]

    def test_the_operator_is_told(self) -> None:
        told = from_environment(variables(pod_of(rendered(self.LIST), "sympozium-operator")))
        assert told.watch_namespaces == self.SERVED
        assert "SYMPOZIUM_WATCH_NAMESPACES" not in variables(pod_of(rendered(), "sympozium-operator"))

    def test_the_releases_own_may_be_in_the_list(self) -> None:
        told = from_environment(variables(pod_of(rendered(f"namespaces={{{NAMESPACE}}}"), "sympozium-operator")))
        assert told.watch_namespaces == (NAMESPACE,)


def test_the_operator_holds_all_that_it_grants() -> None:
    run = AgentRun.model_validate(
        {"metadata": {"name": "a-web-endpoint", "namespace": "n"}, "spec": {"agentRef": "a", "mode": "server"}}
    )
    [role] = [item for item in server_access(run) if item["kind"] == "Role"]
    held = {
        (group, resource, verb)
        for rule in pick(rendered(), "ClusterRole", "sympozium-operator")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    for rule in role["rules"]:
        [group] = rule["apiGroups"]
        assert {(group, resource, verb) for resource in rule["resources"] for verb in rule["verbs"]} <= held


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("nonsense=1", "'nonsense'"),
        ("image.pullPolicy=Always", "'image'"),
        ("images.pullPolicy=Sometimes", "/images/pullPolicy"),
        ("images.operator.tag=a b", "/images/operator/tag"),
        ("operator.replicas=0", "/operator/replicas"),
        ("operator.resources.limits=null", "'limits'"),
        ("images.webproxy.digest=sha256:short", "/images/webproxy/digest"),
        ("operator.nodeSelector=agents", "/operator/nodeSelector"),
        ("webProxy.tolerations[0].when=always", "/webProxy/tolerations"),
        ("agent.affinity.nearby=yes", "/agent/affinity"),
        ("agent.priorityClassName=Not A Name", "/agent/priorityClassName"),
        ("runsServer.podLabels.team=a b", "/runsServer/podLabels/team"),
        ("operator.extraEnv[0].value=x", "/operator/extraEnv"),
        ("operator.serviceAccount.name=other", "/operator/serviceAccount"),
        ("networkPolicies.enabled=maybe", "/networkPolicies/enabled"),
        ("networkPolicies.extraAgentEgress[0].from[0].podSelector=x", "/networkPolicies/extraAgentEgress"),
        ("console.replicas=0", "/console/replicas"),
        ("console.tokenSecret=A b", "/console/tokenSecret"),
        ("console.token=secret", "'token'"),
        ("runs.retention=soon", "/runs/retention"),
        ("runs.retention=0s", "/runs/retention"),
        ("runs.kept=many", "/runs/kept"),
        ("namespaces={Team A}", "/namespaces/0"),
        ("namespaces=team-a", "/namespaces"),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_its_name(value: str, named: str) -> None:
    done = helm("template", "release", str(CHART), "--set", value)
    assert done.returncode != 0
    assert named in done.stderr


def notes() -> str:
    done = helm("install", "release", str(CHART), "--dry-run=client", "--namespace", NAMESPACE, "--output", "json")
    assert done.returncode == 0, done.stderr
    found: str = json.loads(done.stdout)["info"]["notes"]
    return found


def test_the_notes_name_the_release_and_a_file_that_there_is() -> None:
    assert f"is installed in namespace {NAMESPACE}" in notes()
    [example] = re.findall(r"kubectl apply -f (\S+)", notes())
    assert "name: assistant" in (ROOT / example).read_text()


def test_the_notes_say_how_to_reach_the_console() -> None:
    assert f"kubectl -n {NAMESPACE} port-forward service/sympozium-console" in notes()


def test_the_commands_of_the_notes_work(chat: Endpoint, system: Namespace, tmp_path: Path) -> None:
    """Those after the first, for an instance that is there already: the example's model is not in reach of every cluster."""
    _, *commands = [line.strip() for line in notes().splitlines() if line.startswith("  ")]
    config = tmp_path / "kubeconfig"
    config.write_text(chat.namespace.kubectl("config", "view", "--minify", "--raw"))
    subprocess.run(
        ["kubectl", "config", "set-context", "--current", f"--namespace={chat.namespace.name}"],
        env=os.environ | {"KUBECONFIG": str(config)},
        check=True,
        capture_output=True,
    )
    script = (
        "\n".join(commands)
        .replace("assistant", chat.instance)
        .replace(NAMESPACE, system.name)
        .replace("curl ", "curl --retry 20 --retry-all-errors ")
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
        env=os.environ | {"KUBECONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "data: [DONE]" in done.stdout
    assert f'"name":"{chat.instance}"' in done.stdout
