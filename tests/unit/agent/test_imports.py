"""What the agent imports is latency of every cold start, so its list is short and closed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sympozium_agent

SOURCES = Path(sympozium_agent.__file__).parent
MODULES = {"sympozium_api": {"agent_protocol", "environment", "json_members", "model_refusal"}}
ALLOWED = {"h11", *(f"sympozium_api.{name}" for name in MODULES["sympozium_api"])}


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if modules := MODULES.get(node.module):
                yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in modules)
                yield from (node.module for alias in node.names if alias.name not in modules)
            else:
                yield node.module


def stranger(name: str) -> bool:
    root = name.partition(".")[0]
    return root not in sys.stdlib_module_names and root != "sympozium_agent" and name not in ALLOWED


@pytest.mark.parametrize("file", sorted(SOURCES.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCES)))
def test_a_module_imports_the_standard_library_h11_and_four_modules_of_the_api(file: Path) -> None:
    found = {name for name in imported(file.read_text()) if stranger(name)}
    assert found == ({"httpx2"} if file.name == "proxied.py" else set())


@pytest.mark.parametrize(
    "source", ["import httpx2", "from sympozium_api import names", "import sympozium_api", "import pydantic.fields"]
)
def test_what_does_not_belong_into_the_agent_is_seen(source: str) -> None:
    assert [name for name in imported(source) if stranger(name)]
