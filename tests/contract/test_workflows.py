"""The workflows of .github: pinned actions, least permissions, no registry's address. actionlint checks their syntax."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.documents import ROOT

FILES = sorted((ROOT / ".github/workflows").glob("*.yaml"))
WORKFLOWS = {file.name: yaml.safe_load(file.read_text()) for file in FILES}
JOBS = [
    pytest.param(job, id=f"{name}:{key}")
    for name, workflow in WORKFLOWS.items()
    for key, job in workflow["jobs"].items()
]
CALLED = re.compile(r"^\./\.github/workflows/[\w.-]+$")


def values(part: Any, key: str) -> Iterator[Any]:
    """Yield every value of a key, however deep it lies."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(part, list):
        for item in part:
            yield from values(item, key)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_action_is_pinned_to_a_major_version(name: str) -> None:
    actions = [action for action in values(WORKFLOWS[name], "uses") if not CALLED.match(action)]
    assert actions
    assert [action for action in actions if not re.search(r"@(v[1-9]\d*(\.\d+)*|[0-9a-f]{40})$", action)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_and_identify_itself(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    for granted in values(WORKFLOWS[name], "permissions"):
        assert {right: access for right, access in granted.items() if access != "read"} in ({}, {"id-token": "write"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_workflow_names_a_registry(file: Path) -> None:
    assert not re.search(r"\b[\w-]+\.(io|com|net|org|dev)\b", file.read_text())


def test_images_and_charts_go_to_the_registry_of_the_variable() -> None:
    release = WORKFLOWS["release.yaml"]
    assert release["env"] == {"REGISTRY": "${{ vars.REGISTRY }}"}
    assert release["jobs"]["images"]["env"]["IMAGE"].startswith("${{ vars.REGISTRY }}/sympozium/")


def test_a_release_builds_the_images_that_the_chart_names_for_both_architectures() -> None:
    images = WORKFLOWS["release.yaml"]["jobs"]["images"]
    defaults = yaml.safe_load((ROOT / "charts/sympozium/values.yaml").read_text())["images"]
    built = {f"sympozium/{image}" for image in images["strategy"]["matrix"]["image"]}
    assert built == {part["repository"] for part in defaults.values() if isinstance(part, dict)}
    [build] = [step["with"] for step in images["steps"] if "build-push-action" in step.get("uses", "")]
    assert set(build["platforms"].split(",")) == {"linux/amd64", "linux/arm64"}
    assert build["sbom"] is True


@pytest.mark.parametrize("job", JOBS)
def test_every_job_ends_in_bounded_time(job: dict[str, Any]) -> None:
    assert "timeout-minutes" in job or CALLED.match(job["uses"])


def test_every_make_target_of_a_workflow_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [str(command) for workflow in WORKFLOWS.values() for command in values(workflow, "run")]
    used = {target for command in commands for target in re.findall(r"^make ([a-z0-9-]+)", command, re.MULTILINE)}
    assert {"check", "unit"} <= used
    assert used <= targets


def test_helm_is_the_version_of_the_cluster_without_docker() -> None:
    [version] = re.findall(r"^HELM_VERSION=(\S+)", (ROOT / "local/cluster/settings.sh").read_text(), re.MULTILINE)
    for name, workflow in WORKFLOWS.items():
        steps = [step for steps in values(workflow, "steps") for step in steps]
        pinned = {step["with"]["version"] for step in steps if "setup-helm" in step.get("uses", "")}
        assert pinned == {version}, name
