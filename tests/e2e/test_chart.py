"""The charts as Helm renders them. No cluster is asked; Helm is the one on the PATH (``. .local/env``)."""

import base64
import json
import subprocess
from typing import Any

import pytest
import yaml
from tests.contract.crd_schema import violations
from tests.contract.documents import ROOT

from sympozium_api.crds import KINDS, definition
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import SkillPack
from sympozium_operator.desired.access import server_access
from sympozium_operator.settings import from_environment

CHART = ROOT / "charts/sympozium"
NAMESPACE = "agents-system"


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False, timeout=60)


def rendered(*values: str) -> list[dict[str, Any]]:
    settings = [part for value in values for part in ("--set", value)]
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
    assert settings.agent_image == "sympozium/webproxy:0.1.0"
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


def test_all_of_one_image_is_one_image() -> None:
    documents = rendered("images.registry=r.example.com", "images.webproxy.tag=v2")
    image = "r.example.com/sympozium/webproxy:v2"
    assert pod_of(documents, "sympozium-runs")["containers"][0]["image"] == image
    assert pick(documents, "SkillPack", "web-endpoint")["spec"]["sidecar"]["image"] == image
    assert pod_of(documents, "sympozium-operator")["containers"][0]["image"] == "r.example.com/sympozium/operator:0.1.0"


def test_the_console_is_left_out_whole() -> None:
    there = [item["kind"] for item in rendered() if item["metadata"]["name"].startswith("sympozium-console")]
    assert len(there) == 6
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
        ("console.replicas=0", "/console/replicas"),
        ("console.tokenSecret=A b", "/console/tokenSecret"),
        ("console.token=secret", "'token'"),
        ("runs.retention=soon", "/runs/retention"),
        ("runs.retention=0s", "/runs/retention"),
        ("runs.kept=many", "/runs/kept"),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_its_name(value: str, named: str) -> None:
    done = helm("template", "release", str(CHART), "--set", value)
    assert done.returncode != 0
    assert named in done.stderr


def test_the_notes_name_commands_that_work() -> None:
    done = helm("install", "release", str(CHART), "--dry-run=client", "--namespace", NAMESPACE, "--output", "json")
    assert done.returncode == 0, done.stderr
    notes = json.loads(done.stdout)["info"]["notes"]
    assert "kubectl apply -f examples/instance.yaml" in notes
    assert f"kubectl -n {NAMESPACE} port-forward service/sympozium-console" in notes
    assert """go-template='{{index .data "api-key" | base64decode}}'""" in notes
