"""The API takes what users are told to apply, and this version can serve it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.crd_schema import violations
from tests.contract.documents import ROOT, markdown_pages, yaml_documents

from sympozium_api import effective
from sympozium_api.generate.crds import KINDS, definition
from sympozium_api.installed_skills import standing_instructions
from sympozium_api.instance import SympoziumInstance
from sympozium_api.names import API_VERSION, WEB_ENDPOINT_SKILL
from sympozium_api.skillpack import SkillPack
from sympozium_operator.policy.skill_resolution import Source, install, missing


def manifests() -> list[Any]:
    files = [*sorted((ROOT / "examples").rglob("*.yaml")), *sorted((ROOT / "local").glob("demo-*.yaml"))]
    found = [(file, document) for file in files for document in yaml_documents(file)]
    for markdown in markdown_pages():
        for block in markdown.read_text().split("```yaml\n")[1:]:
            found += [(markdown, document) for document in yaml.safe_load_all(block.split("```")[0]) if document]
    return [
        pytest.param(document, id=f"{file.relative_to(ROOT)}:{document.get('kind')}")
        for file, document in found
        if document.get("apiVersion") == API_VERSION
    ]


@pytest.mark.parametrize("manifest", manifests())
def test_an_example_is_what_its_crd_takes(manifest: dict[str, Any]) -> None:
    [kind] = [kind for kind in KINDS if kind.model.__name__ == manifest["kind"]]
    schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(violations(manifest, schema)) == []
    kind.model.model_validate(manifest)


@pytest.mark.parametrize(
    "manifest", [example for example in manifests() if example.values[0]["kind"] == "SympoziumInstance"]
)
def test_an_example_asks_for_nothing_that_this_version_refuses(manifest: dict[str, Any]) -> None:
    instance = SympoziumInstance.model_validate(manifest)
    effective.refuse_unsupported(instance)
    assert effective.web_endpoint(instance)


def test_the_examples_show_a_cloud_model_a_model_without_a_key_skills_tools_a_run_and_a_gateway() -> None:
    folder = ROOT / "examples"
    kinds = {
        str(file.relative_to(folder)): [document["kind"] for document in yaml_documents(file)]
        for file in example_files()
    }
    assert kinds == {
        "gateway.yaml": ["SympoziumConfig"],
        "instance.yaml": ["SympoziumInstance"],
        "instance-with-skills.yaml": ["SympoziumInstance"],
        "instance-in-cluster-model.yaml": ["SympoziumInstance"],
        "instance-demo-model.yaml": ["SympoziumInstance"],
        "run.yaml": ["AgentRun"],
        "provider.yaml": ["Provider", "Provider", "SympoziumInstance"],
        "skillpack.yaml": ["SkillPack", "ConfigMap"],
        "policy.yaml": ["SympoziumPolicy"],
        "tool.yaml": ["Tool", "ToolBinding", "Secret"],
        "tool-in-cluster.yaml": ["Tool", "ToolBinding"],
        "webhook.yaml": ["ConfigMap", "Deployment", "Service"],
        "platform/provider.yaml": ["Provider"],
        "platform/tool-mock.yaml": ["ConfigMap", "Deployment", "Service"],
    }


def test_the_walk_has_the_commands_of_its_guide() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/guides/platform.md").read_text(), re.DOTALL)
    [first] = [number for number, block in enumerate(blocks) if block.startswith("field()")]
    _, commands = (ROOT / "examples/platform/walk.sh").read_text().split("set -euo pipefail\n\n")
    assert "\n".join(blocks[first:-1]) == commands


def test_the_example_with_skills_has_those_that_the_guide_tells_of() -> None:
    pack, house_style = yaml_documents(ROOT / "examples/skillpack.yaml")
    [body] = yaml_documents(ROOT / "examples/instance-with-skills.yaml")
    analyst = SympoziumInstance.model_validate(body)
    sources: dict[str, Source] = {"spec.skills[1]": SkillPack.model_validate(pack), "spec.skills[2]": house_style}
    assert missing(analyst, sources) is None
    sales, outage, tone = install(analyst, sources)
    assert (outage.name, tone.name, tone.description) == ("outage-report", "tone", "Always.")
    assert standing_instructions(sales).splitlines()[0] in (ROOT / "docs/guides/skills.md").read_text()


def test_the_secret_in_an_example_has_the_key_that_its_provider_needs() -> None:
    text = (ROOT / "examples/instance.yaml").read_text()
    [instance] = yaml_documents(ROOT / "examples/instance.yaml")
    [ref] = instance["spec"]["authRefs"]
    for key in effective.key_names(ref["provider"]):
        assert key in text
    assert f"generic {ref['secret']} " in text


def test_the_built_in_skill_has_the_parameters_that_are_read() -> None:
    text = (ROOT / "charts/sympozium/files/skills/web-endpoint.yaml").read_text()
    names = [line.split("name: ")[1] for line in text.split("parameters:")[1].splitlines() if "- name: " in line]
    with pytest.raises(effective.InvalidSpec) as refusal:
        effective.web_endpoint(with_params({"no-such-param": "1"}))
    assert str(refusal.value).endswith(f"known are {', '.join(sorted(names))}")


def test_the_built_in_skills_defaults_are_those_of_the_api() -> None:
    text = (ROOT / "charts/sympozium/files/skills/web-endpoint.yaml").read_text()
    found = effective.web_endpoint(with_params({}))
    assert found
    assert f'default: "{found.rate_limit.requests_per_minute}"' in text
    assert f'default: "{found.rate_limit.burst_size}"' in text


def with_params(params: dict[str, str]) -> SympoziumInstance:
    skill = {"skillPackRef": WEB_ENDPOINT_SKILL, "params": params}
    return SympoziumInstance.model_validate({"spec": {"agents": {"default": {"model": "m"}}, "skills": [skill]}})


def example_files() -> list[Path]:
    return sorted((ROOT / "examples").rglob("*.yaml"))
