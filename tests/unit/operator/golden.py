"""Golden files: what a builder makes, to be read and reviewed as YAML. ``UPDATE_GOLDEN=1`` writes them anew."""

import os
from pathlib import Path
from typing import Any

import yaml

GOLDEN = Path(__file__).parents[2] / "golden"


def matches(scenario: str, *objects: dict[str, Any], folder: str = "operator") -> bool:
    """Return whether the objects are as the scenario's file has them."""
    made = yaml.safe_dump_all(objects, sort_keys=False, width=120)
    file = GOLDEN / folder / f"{scenario}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made)
    return file.read_text() == made
