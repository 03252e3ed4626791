"""What the agent imports is latency of every cold start, so its list is short and closed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sympozium_agent

SOURCES = Path(sympozium_agent.__file__).parent
MODULES = {"sympozium_api": {"agent_protocol", "environment", "json_members", "model_refusal", "tool_output", "values"}}
ALLOWED = {f"sympozium_api.{name}" for name in MODULES["sympozium_api"]}

SLOW = {
    "asyncio",
    "concurrent",
    "dataclasses",
    "inspect",
    "logging",
    "pathlib",
    "socket",
    "ssl",
    "threading",
    "typing",
    "urllib",
}
"""Modules of which each costs a tenth of the processor time of a Python that does nothing, or more."""
NEEDED = {
    "proxied.py": {"asyncio", "typing"},
    "tls.py": {"socket", "ssl"},
    "http_provider.py": {"urllib"},
    "provider.py": {"typing"},
    "response.py": {"typing"},
    "tool.py": {"typing"},
}


def imported(source: str) -> Iterator[str]:
    """Names of the modules that a module imports, except for what type checkers alone read."""
    for node in ast.walk(_AtRunTime().visit(ast.parse(source))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if modules := MODULES.get(node.module):
                yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in modules)
                yield from (node.module for alias in node.names if alias.name not in modules)
            else:
                yield node.module


class _AtRunTime(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.If:
        self.generic_visit(node)
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
        return node


def stranger(name: str) -> bool:
    root = name.partition(".")[0]
    return root not in sys.stdlib_module_names and root != "sympozium_agent" and name not in ALLOWED


@pytest.mark.parametrize("file", sorted(SOURCES.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCES)))
def test_a_module_imports_the_standard_library_and_six_modules_of_the_api(file: Path) -> None:
    found = {name for name in imported(file.read_text()) if stranger(name)}
    if file.name in FOR_TYPES:
        found -= {"sympozium_api.agent_records"}
    assert found == ({"httpx2"} if file.name == "proxied.py" else set())


FOR_TYPES = {"provider.py", "response.py", "tool.py"}
"""Modules that no other one imports at run time."""


@pytest.mark.parametrize("file", sorted(SOURCES.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCES)))
def test_slow_modules_of_the_standard_library_are_imported_only_where_they_are_needed(file: Path) -> None:
    found = {name.partition(".")[0] for name in imported(file.read_text())} & SLOW
    assert found <= NEEDED.get(file.name, set())
    imported_names = {
        name.rpartition(".")[2] + ".py" for name in imported(file.read_text()) if "sympozium_agent" in name
    }
    assert file.name in (*FOR_TYPES, "proxied.py") or not imported_names & FOR_TYPES


@pytest.mark.parametrize(
    "source", ["import httpx2", "from sympozium_api import names", "import sympozium_api", "import pydantic.fields"]
)
def test_what_does_not_belong_into_the_agent_is_seen(source: str) -> None:
    assert [name for name in imported(source) if stranger(name)]
