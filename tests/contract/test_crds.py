"""The CRD files are what the typed models say, wherever they lie."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.documents import ROOT

from sympozium_api.generate import reference
from sympozium_api.generate.crds import KINDS, Kind, definition, filename, rendered

FOLDERS = (ROOT / "crds", ROOT / "charts/sympozium-crds/templates")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_a_crd_file_is_what_make_generate_writes(folder: Path, kind: Kind) -> None:
    assert (folder / filename(kind)).read_text() == rendered(kind), "run `make generate`"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_crd_file_has_a_model(folder: Path) -> None:
    assert {file.name for file in folder.glob("*.yaml")} == {filename(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_uninstalling_the_chart_keeps_a_crd_and_with_it_all_objects(kind: Kind) -> None:
    assert definition(kind)["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_helm_leaves_a_crd_as_it_is(kind: Kind) -> None:
    assert "{{" not in rendered(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_bounds_are_written_as_kubernetes_reads_them(kind: Kind) -> None:
    """Kubernetes takes JSON Schema of draft 4, where an exclusive bound is true or false."""
    assert not re.search(r"exclusive(Minimum|Maximum): \d", rendered(kind))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_a_crd_survives_yaml(kind: Kind) -> None:
    assert yaml.safe_load(rendered(kind)) == definition(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_a_kinds_page_is_what_make_generate_writes(kind: Kind) -> None:
    page = ROOT / "docs/reference/kinds" / reference.filename(kind)
    assert page.read_text() == reference.page(kind), "run `make generate`"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_a_kinds_page_has_a_line_for_every_field_and_a_word_on_every_rule(kind: Kind) -> None:
    page = reference.page(kind)
    schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    def missing(schema: dict[str, Any], path: str) -> list[str]:
        found = [rule["message"] for rule in schema.get("x-kubernetes-validations", []) if rule["message"] not in page]
        for name, part in schema.get("properties", {}).items():
            found += [f"{path}{name}"] if f"`{path}{name}`" not in page else []
            found += missing(part, f"{path}{name}.") + missing(part.get("items", {}), f"{path}{name}[].")
        return found

    for part in {"spec", "status"} & set(schema["properties"]):
        fields = missing(schema["properties"][part], f"{part}.")
        assert [field for field in fields if "conditions[]" not in field] == []


def test_every_field_of_a_spec_says_what_it_is_for() -> None:
    def silent(schema: dict[str, object], path: str) -> list[str]:
        parts = schema.get("properties", {})
        assert isinstance(parts, dict)
        found = [f"{path}.{name}" for name, part in parts.items() if not part.get("description")]
        for name, part in parts.items():
            found += silent(part.get("items", part), f"{path}.{name}")
        return found

    for kind in KINDS:
        properties = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        assert silent(properties["spec"], f"{kind.model.__name__}.spec") == []


def test_every_default_stands_in_the_description_which_kubectl_explain_shows() -> None:
    def untold(schema: dict[str, Any], path: str) -> list[str]:
        found = []
        for name, part in schema.get("properties", {}).items():
            default = part.get("default")
            if default not in (None, {}, [], False) and f"Default: {default}" not in part.get("description", ""):
                found.append(f"{path}.{name}")
            found += untold(part.get("items", part), f"{path}.{name}")
        return found

    for kind in KINDS:
        properties = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        assert untold(properties["spec"], f"{kind.model.__name__}.spec") == []


@pytest.mark.parametrize(
    ("plural", "columns"),
    [
        ("sympoziuminstances", {"Ready": "Ready", "Reason": "Ready", "URL": ".status", "Model": ".spec"}),
        ("agentruns", {"Reason": ".status", "Duration": ".status.duration", "Model": ".status", "Mode": ".spec.mode"}),
    ],
)
def test_kubectl_get_has_the_columns_that_tell_objects_apart(plural: str, columns: dict[str, str]) -> None:
    [crd] = [crd for crd in map(definition, KINDS) if crd["spec"]["names"]["plural"] == plural]
    printed = {column["name"]: column for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]}
    for name, source in columns.items():
        assert source in printed[name]["jsonPath"]
        assert not printed[name].get("priority"), "shown without -o wide"


def test_kinds_that_people_write_have_short_names() -> None:
    names = {kind.plural: kind.short for kind in KINDS if kind.plural != "sympoziumconfigs"}  # of which there is one
    assert all(names.values())
    assert names["skillpacks"] == ("sp",)
    assert len(set(itertools.chain(*names.values()))) == sum(len(short) for short in names.values())


def test_no_reference_has_a_namespace() -> None:
    """Rule 12: whoever may write in one namespace must not reach into another."""
    for kind in KINDS:
        properties = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        fields = re.findall(r"^ *(\w+):", yaml.safe_dump(properties["spec"]["properties"], width=10_000), re.MULTILINE)
        assert fields
        assert [field for field in fields if "namespace" in field.lower() and field != "namespaceSelector"] == []
