"""The files from which images and environments are installed agree."""

import hashlib
import json
import re
import tomllib
from importlib.metadata import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.contract.documents import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
RUNTIME = [Requirement(line) for lines in EXTRAS.values() for line in lines]
DEVELOPMENT = [Requirement(line) for line in PROJECT["dependency-groups"]["dev"]]
BUILD = [Requirement(line) for line in PROJECT["build-system"]["requires"]]
CONSTRAINTS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()]
IMAGES = {"operator": "sympozium_operator", "webproxy": "sympozium_webproxy", "console": "sympozium_console"}


@pytest.mark.parametrize("requirement", [*RUNTIME, *DEVELOPMENT, *BUILD], ids=lambda requirement: requirement.name)
def test_every_requirement_has_one_version_that_fits(requirement: Requirement) -> None:
    pins = [pin for pin in CONSTRAINTS if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
    assert pins, "renew constraints.txt (CONTRIBUTING.md says how)"
    for pin in pins:
        [version] = [spec.version for spec in pin.specifier if spec.operator == "=="]
        assert requirement.specifier.contains(version, prereleases=True)


@pytest.mark.parametrize("requirement", [*RUNTIME, *DEVELOPMENT], ids=lambda requirement: requirement.name)
def test_every_extra_that_we_ask_for_exists(requirement: Requirement) -> None:
    """pip only warns about one that does not, and what it stood for is missing in the image."""
    offered = {canonicalize_name(extra) for extra in metadata(requirement.name).get_all("Provides-Extra") or []}
    assert {canonicalize_name(extra) for extra in requirement.extras} <= offered


def test_the_constraints_hold_names_and_versions_only() -> None:
    for pin in CONSTRAINTS:
        assert pin.url is None
        assert [spec.operator for spec in pin.specifier] == ["=="]
    assert "--" not in (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize(("image", "module"), IMAGES.items())
def test_an_image_starts_a_module_that_exists(image: str, module: str) -> None:
    dockerfile = (ROOT / f"Dockerfile.{image}").read_text()
    assert f'ENTRYPOINT ["python", "-m", "{module}"]' in dockerfile
    assert (ROOT / image / "src" / module / "__main__.py").exists()
    assert "USER 65532:65532" in dockerfile


def sources(image: str) -> set[str]:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / f"Dockerfile.{image}").read_text(), re.MULTILINE)
    return {source for line in copied for source in line.split()}


def test_images_are_built_from_files_that_a_build_may_see() -> None:
    visible = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set.union(*map(sources, IMAGES)) == visible
    assert [source for source in visible if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("image", IMAGES)
def test_only_another_list_of_libraries_installs_them_again(image: str) -> None:
    """The layers with libraries are kept while other tables of pyproject.toml change: they are made from the list and the versions."""
    stages = re.split(r"^FROM .+ AS (\w+)$", (ROOT / f"Dockerfile.{image}").read_text(), flags=re.MULTILINE)
    stage = dict(zip(stages[1::2], stages[2::2], strict=True))["dependencies"]
    copied = re.findall(r"^COPY (.+) \S+$", stage, re.MULTILINE)
    assert copied == ["constraints.txt", "--from=extras /build/extras.txt"]


def test_the_agents_image_holds_neither_console_nor_guard_nor_their_libraries() -> None:
    """Its size is a part of a cold start on a node that has not pulled it."""
    assert not sources("webproxy") & {"console/src", "egress/src", "operator/src"}
    extras = re.findall(r"\*e\['(\w+)'\]", (ROOT / "Dockerfile.webproxy").read_text())
    assert extras == ["webproxy", "agent"]
    libraries = {Requirement(line).name for extra in extras for line in EXTRAS[extra]}
    assert not libraries & {"sqlalchemy", "asyncpg", "aiosqlite", "alembic", "jsonschema-rs", "limits", "redis"}


@pytest.mark.parametrize("image", IMAGES)
def test_no_image_holds_kubectls_plugin(image: str) -> None:
    dockerfile = (ROOT / f"Dockerfile.{image}").read_text()
    assert "cli/src" not in sources(image)
    assert "&& rm -r /ours/bin " in dockerfile
    assert "cli" not in re.findall(r"\*e\['(\w+)'\]", dockerfile)


def test_a_virtual_environment_has_the_libraries_of_every_process() -> None:
    processes = set(EXTRAS) - {"kubeconfig"}
    for file in ("local/python.sh", "CONTRIBUTING.md"):
        [installed] = re.findall(r"'\.\[([\w,]+)\]'", (ROOT / file).read_text())
        assert set(installed.split(",")) == processes


def test_charts_and_package_have_one_version() -> None:
    for chart in ("sympozium", "sympozium-crds"):
        text = (ROOT / "charts" / chart / "Chart.yaml").read_text()
        assert f"\nappVersion: {PROJECT['project']['version']}\n" in text


def test_vendored_libraries_are_the_files_that_were_published() -> None:
    """The digests are of the files of the packages at npm, as local/vendor.sh wrote them."""
    folder = ROOT / "console/src/sympozium_console/pages/static/vendor"
    listed = json.loads((folder / "vendored.json").read_text())
    script = (ROOT / "local/vendor.sh").read_text()
    assert {f"{one['package'].split('.')[0].upper()}={one['version']}" for one in listed} <= set(script.split())
    for one in listed:
        assert hashlib.sha256((folder / one["file"]).read_bytes()).hexdigest() == one["sha256"]
        assert (folder / f"{one['file'].split('.')[0]}.LICENSE").is_file()
    assert {file.name for file in folder.glob("*.js")} == {one["file"] for one in listed}
