"""The charts as Helm renders them. Helm is the one on the PATH (``. .local/env``)."""

import json
import subprocess
from typing import Any

import yaml
from tests.contract.documents import ROOT

CHART = ROOT / "charts/sympozium"
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
NAMESPACE = "agents-system"


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False, timeout=300)


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
