"""The chart's values: each one explained, each one in the schema."""

import json
from itertools import pairwise
from typing import Any

import yaml
from tests.contract.documents import ROOT

CHART = ROOT / "charts/sympozium"
VALUES = (CHART / "values.yaml").read_text()


def test_every_value_has_a_comment_above_it() -> None:
    lines = VALUES.splitlines()
    leaves = ("registry", "pullPolicy", "pullSecrets", "repository", "tag", "replicas", "resources")
    named = [*leaves, *yaml.safe_load(VALUES)["runs"], *yaml.safe_load(VALUES)["webProxy"]]
    for above, line in pairwise(lines):
        if line.strip().split(":")[0] in named:
            assert above.strip().startswith("#"), line


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(values: dict[str, Any], part: dict[str, Any], path: str) -> None:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
        assert part["additionalProperties"] is False, path
        assert set(part["properties"]) - {"global"} == set(values), path
        for name, value in values.items():
            if isinstance(value, dict) and name != "resources":
                compare(value, part["properties"][name], f"{path}.{name}")

    compare(yaml.safe_load(VALUES), schema, "values")
