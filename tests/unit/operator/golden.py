"""Golden files: what a builder makes, to be read and reviewed as YAML. ``UPDATE_GOLDEN=1`` writes them anew."""

import os
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "golden" / "operator"


def matches(scenario: str, *objects: dict[str, Any]) -> bool:
    """Whether the objects are as the scenario's file has them."""
    made = yaml.safe_dump_all(objects, sort_keys=False, width=120)
    file = FOLDER / f"{scenario}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made)
    return file.read_text() == made
