"""Reads what the contract tests compare: YAML files, Markdown pages, source text."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SOURCES = ("crds/src", "lib/src", "operator/src", "webproxy/src", "agent/src", "console/src", "egress/src", "cli/src")


def yaml_documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def source_files(*folders: str) -> Iterator[Path]:
    for folder in folders or SOURCES:
        yield from sorted((ROOT / folder).rglob("*.py"))


def markdown_pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def page(name: str) -> str:
    return (ROOT / "docs/reference" / name).read_text()


def words_in_first_cells(text: str) -> set[str]:
    """The words in code font in the first cell of each table row: what a reference page has a line for."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}
