"""The agent platform's OpenAPI description, its reference pages, its chart and its code agree."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.documents import ROOT, page, source_files, words_in_first_cells
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import environment
from sympozium_archive.database import Database
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_console.console_context import assemble
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_platform import platform_context
from sympozium_console.console_settings import ConsoleSettings
from sympozium_platform.app import create_app
from sympozium_platform.platform_settings import PlatformSettings

OPEN = {"GET /health", "GET /health/db", "POST /auth/token", "GET /auth/test-token"}
UNDESCRIBED = {"GET /docs", "GET /redoc", "GET /openapi.json"}
SHARED = {
    "AUTH_API_KEYS",
    "API_KEY_PEPPER",
    "REDIS_URL",
    "DATABASE_URL",
    "DB_POOL_SIZE",
    "DB_MAX_OVERFLOW",
    "DB_POOL_TIMEOUT_SECONDS",
    "DB_POOL_RECYCLE_SECONDS",
    "TOOL_RETRY_ATTEMPTS",
}
"""Variables that other parts of the console, or the egress guard, read."""


@pytest.fixture(scope="module")
def operations() -> dict[str, dict[str, Any]]:
    settings = ConsoleSettings("here", tokens=Path("/nowhere"), platform=PlatformSettings())
    database = Database.open(DatabaseSettings.of_file("/none"))
    context = assemble(FakeKubernetes(), settings, FakeClock(), database, ConsoleMetrics())
    description = create_app(platform_context(context)).openapi()
    return {
        f"{method.upper()} {path}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_has_a_line_and_every_line_a_route(operations: dict[str, dict[str, Any]]) -> None:
    section = re.search(r"^## The agent platform API.*?(?=^## |\Z)", page("http.md"), re.MULTILINE | re.DOTALL)
    assert section
    documented = {word for word in words_in_first_cells(section.group()) if re.match("[A-Z]+ /", word)}
    assert documented == set(operations) | UNDESCRIBED


def test_every_route_says_whether_it_takes_a_token_and_what_it_does(operations: dict[str, dict[str, Any]]) -> None:
    assert {name for name, operation in operations.items() if not operation.get("security")} == OPEN
    for name, operation in operations.items():
        assert operation["description"].strip(), name
        assert len(operation["tags"]) == 1, name
        assert {"4XX", "5XX"} <= operation["responses"].keys(), name
        assert "422" not in operation["responses"], name


def test_every_code_of_an_error_has_a_line_and_every_line_a_code() -> None:
    source = "".join(file.read_text() for file in source_files("console/src/sympozium_platform"))
    found = set(re.findall(r"(?:refused|Refusal|unavailable)[(,]\s*(?:\w+,\s*)?\"(\w+)\"", source))
    found |= {"policy_denied", "model_not_ready"}  # which follow from the status of a refused run
    section = re.search(r"^## Errors.*?(?=^## )", page("platform.md"), re.MULTILINE | re.DOTALL)
    assert section
    assert words_in_first_cells(section.group()) - {"code"} == found


def test_every_variable_has_a_line_with_a_value_of_the_chart_that_there_is() -> None:
    source = (ROOT / "console/src/sympozium_platform/platform_settings.py").read_text()
    read = {getattr(environment, name) for name in re.findall(r"environment\.([A-Z_]+)", source)}
    read = {name for name in read if re.fullmatch("[A-Z_]+", name) and not name.startswith("SYMPOZIUM_")}
    variables = page("platform.md").partition("\n## Variables\n")[2]
    assert words_in_first_cells(variables) == read | SHARED
    values = yaml.safe_load((ROOT / "charts/sympozium/values.yaml").read_text())
    rows = [line.split("|")[4] for line in variables.splitlines() if line.startswith("| `")]
    for row in rows:
        named = re.findall(r"`([\w.]+)`", row)
        assert named
        for path in named:
            found: Any = values
            for part in path.split("."):
                found = found[part]


def test_the_chart_mounts_the_secret_where_it_is_read_and_sets_variables_that_are_read() -> None:
    console = (ROOT / "charts/sympozium/templates/console.yaml").read_text()
    assert f"mountPath: {environment.PLATFORM_KEYS_DIR}\n" in console
    template = (ROOT / "charts/sympozium/templates/_platform.tpl").read_text()
    names = set(re.findall(r"- name: ([A-Z_]+)", template))
    assert names <= {value for value in vars(environment).values() if isinstance(value, str)}
