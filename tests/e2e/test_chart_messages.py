"""The chart's refusals of values, and its notes; a cluster is needed only for the commands in the notes."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.contract.documents import ROOT
from tests.e2e.chart_rendering import CHART, NAMESPACE, helm
from tests.e2e.conftest import Endpoint, Namespace


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
    """Those after the first two, for an instance that is there already: the example's model is not in reach of every cluster."""
    _, _, *commands = [line.strip() for line in notes().splitlines() if line.startswith("  ")]
    script = (
        "\n".join(commands)
        .replace("assistant", chat.instance)
        .replace(NAMESPACE, system.name)
        .replace("curl ", "curl --retry 20 --retry-all-errors ")
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
        env=os.environ | {"KUBECONFIG": chat.namespace.kubeconfig(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "data: [DONE]" in done.stdout
    assert f'"name":"{chat.instance}"' in done.stdout
