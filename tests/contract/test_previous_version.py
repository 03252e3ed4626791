"""This version takes what 0.2.0 took: stored objects outlive an upgrade of the CRDs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.documents import ROOT, yaml_documents

Object = dict[str, Any]

PREVIOUS = ROOT / "tests/fixtures/crds-0.2.0"


def tighter(old: Object, new: Object, path: str) -> Iterator[str]:
    """Which bounds of one field's values leave out more than before."""
    if "enum" in new and not set(old.get("enum", [None])) <= set(new["enum"]):
        yield f"{path}: has fewer values"
    for bound in ("maxLength", "maxItems", "maxProperties", "maximum"):
        if bound in new and old.get(bound, float("inf")) > new[bound]:
            yield f"{path}: {bound} is now {new[bound]}"
    for bound in ("minLength", "minItems", "minimum"):
        if new.get(bound, float("-inf")) > old.get(bound, float("-inf")):
            yield f"{path}: {bound} is now {new[bound]}"


def narrower(old: Object, new: Object, path: str) -> Iterator[str]:
    """Give the fields in which the new schema refuses or drops what the old one took."""
    if old.get("type") != new.get("type"):
        yield f"{path}: {old.get('type')} is now {new.get('type')}"
    yield from (
        f"{path}.{field} is now required" for field in set(new.get("required", [])) - set(old.get("required", []))
    )
    yield from tighter(old, new, path)
    for name, part in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{path}.{name} is gone"
        else:
            yield from narrower(part, new["properties"][name], f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(old.get(inner), dict):
            yield from narrower(old[inner], new.get(inner) or {}, f"{path}[]")


def schema(file: Path) -> Object:
    [definition] = yaml_documents(file)
    [version] = definition["spec"]["versions"]
    found: Object = version["schema"]["openAPIV3Schema"]
    return found


@pytest.mark.parametrize("file", sorted(PREVIOUS.glob("*.yaml")), ids=lambda file: file.stem)
def test_no_field_is_gone_or_narrower(file: Path) -> None:
    assert list(narrower(schema(file), schema(ROOT / "crds" / file.name), "")) == []


def test_what_is_narrower_is_seen() -> None:
    old: Object = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}, "b": {"type": "string"}}}
    new: Object = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "maxLength": 8}}}
    assert list(narrower(old, new, "")) == [".a is now required", ".a: maxLength is now 8", ".b is gone"]
