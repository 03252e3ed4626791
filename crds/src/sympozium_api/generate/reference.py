"""Reference pages of the kinds, generated from the same schemas as the CRDs.

``python -m sympozium_api.generate.reference DIR`` writes them, one file per kind; ``make generate`` calls it.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sympozium_api.generate.crds import KINDS, Kind, definition
from sympozium_api.generate.schema import default_sentence

Schema = dict[str, Any]

_HEADER = "<!-- Made by `make generate` from crds/src/sympozium_api. Do not edit. -->"
_LIMITS = {
    "pattern": "matches `{}`",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "maxProperties": "at most {} entries",
}


def filename(kind: Kind) -> str:
    """Return the name of a kind's page."""
    return f"{kind.model.__name__.lower()}.md"


def page(kind: Kind) -> str:
    """Return the page of a kind, in Markdown."""
    crd = definition(kind)["spec"]
    [version] = crd["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    words = [crd["names"]["singular"], crd["names"]["plural"], *crd["names"]["shortNames"]]
    columns = _titles(version, priority=0)
    if wide := _titles(version, priority=1):
        columns += ",\n" + textwrap.fill(f"and with `-o wide` {wide}.", 120).removesuffix(".")
    selectable = [field["jsonPath"].removeprefix(".") for field in version["selectableFields"]]
    parts = [
        _HEADER,
        f"# {kind.model.__name__}",
        schema["description"],
        f"`apiVersion: {crd['group']}/{version['name']}`, namespaced.",
        f"For kubectl: {_code(words)}.\n`kubectl get` shows {columns}.",
        *([f"Field selectors: {_code(selectable)}."] if selectable else []),
        *_constraints(schema),
        "## Spec",
        *_part(schema, "spec"),
        *(
            ["## Status", "Written by the system.", *_part(schema, "status")]
            if "status" in schema["properties"]
            else []
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _part(schema: Schema, name: str) -> list[str]:
    rows = [" | ".join(row) for row in _rows(schema["properties"][name], name)]
    table = ["| field | type | default | description |", "|---|---|---|---|", *(f"| {row} |" for row in rows)]
    return [*_constraints(schema["properties"][name]), "\n".join(table)]


def _constraints(schema: Schema) -> list[str]:
    lines = [f"- {text}" for text in _rules(schema)]
    return ["\n".join(lines)] if lines else []


def _rows(schema: Schema, path: str) -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        default = f"`{json.dumps(field['default'])}`" if "default" in field else "required" if name in required else ""
        yield f"`{here}`", _type(field), default, _text(field)
        if name != "conditions":  # metav1.Condition, which Kubernetes documents
            yield from _rows(field, here)
            yield from _rows(field.get("items", {}), f"{here}[]")


def _type(field: Schema) -> str:
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    return str(field["type"])


def _text(field: Schema) -> str:
    """Return a field's description and the constraints that the API server enforces."""
    inner: Schema = field.get("items") or field.get("additionalProperties") or {}
    limits = [text.format(field[key]) for key, text in _LIMITS.items() if key in field]
    limits += [f"each {text.format(inner[key])}" for key, text in _LIMITS.items() if key in inner]
    limits += [*_rules(field), *(f"each: {text}" for text in _rules(inner))]
    constraints = [f"({'; '.join(limits)})"] if limits else []
    description = field.get("description", "").removesuffix(default_sentence(field))  # it has a column of its own
    return " ".join([*description.split(), *constraints]).replace("|", "\\|")


def _rules(schema: Schema) -> list[str]:
    return [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]


def _titles(version: dict[str, Any], *, priority: int) -> str:
    """Return the titles of the columns of a priority: 0, or 1 for those of ``-o wide`` only."""
    columns = version["additionalPrinterColumns"]
    return ", ".join(column["name"] for column in columns if column.get("priority", 0) == priority)


def _code(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def main(folder: Path) -> None:
    """Write one page per kind into a folder."""
    for kind in KINDS:
        (folder / filename(kind)).write_text(page(kind))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
