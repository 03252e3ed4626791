"""The console's OpenAPI description, its reference page, its chart and its code agree."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import APIRouter
from fastapi.routing import APIRoute
from tests.contract.documents import ROOT, page, source_files, words_in_first_cells
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import environment
from sympozium_api.settings_parser import InvalidSetting
from sympozium_archive.database import Database
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_console import refusals
from sympozium_console.console_app import create_app
from sympozium_console.console_context import assemble
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ConsoleSettings, from_environment
from sympozium_console.pages import issuer_sign_in, sign_in, static_files
from sympozium_console.pages.keys import PAGE_KEYS
from sympozium_console.pages.navigation import NAVIGATION
from sympozium_console.pages.page_table import PAGE_NEEDS, PAGES

Object = dict[str, Any]

SECTION = re.search(r"^## The console.*?(?=^## |\Z)", page("http.md"), re.MULTILINE | re.DOTALL)
REASON = re.compile(
    r'(?:Refusal|InvalidFields)\(\s*\d+,\s*"(\w+)"|reason="(\w+)"|reason: str = "(\w+)"|reason = "(\w+)"'
)


@pytest.fixture(scope="module")
def description() -> Object:
    settings, database = (
        ConsoleSettings("here", tokens=Path("/nowhere")),
        Database.open(DatabaseSettings.of_file("/none")),
    )
    return create_app(assemble(FakeKubernetes(), settings, FakeClock(), database, ConsoleMetrics())).openapi()


def section() -> str:
    assert SECTION
    return SECTION.group()


def errors() -> str:
    """Return the section of the page of errors that is about the console."""
    return re.split(r"^## ", page("errors.md"), flags=re.MULTILINE)[-1]


def operations(description: Object) -> dict[str, Object]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }


def names_of(router: APIRouter) -> set[str]:
    """Return method and path of each route of a router."""
    found = [route for route in router.routes if isinstance(route, APIRoute)]
    return {f"{method} {route.path}" for route in found for method in route.methods or ()}


def test_every_console_route_has_a_line_and_every_line_a_route(description: Object) -> None:
    documented = {word for word in words_in_first_cells(section()) if re.match("[A-Z]+ /", word)}
    assert documented == set(operations(description))


def test_every_key_of_the_pages_has_a_line_in_the_guide() -> None:
    guide = (ROOT / "docs/guides/console.md").read_text()
    keys = {*(key for keys in PAGE_KEYS for key in keys.keys), *(item.key for item in NAVIGATION)}
    assert [key for key in sorted(keys) if f"`{key}`" not in guide] == []


def test_every_page_has_a_line_and_every_line_a_page() -> None:
    """Pages are for people, so OpenAPI has none of them."""
    found = {name for module in (issuer_sign_in, sign_in, static_files, *PAGES) for name in names_of(module.router)}
    pages = re.search(r"^## The pages.*?(?=^## |\Z)", page("http.md"), re.MULTILINE | re.DOTALL)
    assert pages
    assert {word for word in words_in_first_cells(pages.group()) if re.match("[A-Z]+ /", word)} == found
    assert set(PAGE_NEEDS) == {tuple(name.split(" ", 1)) for module in PAGES for name in names_of(module.router)}


def test_every_console_parameter_has_a_line(description: Object) -> None:
    parameters = [
        parameter for operation in operations(description).values() for parameter in operation.get("parameters", [])
    ]
    queried = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert {"namespace", "limit", "continue"} <= queried
    assert queried <= words_in_first_cells(section())


def test_every_reason_of_a_refusal_has_a_line() -> None:
    sources = "".join(file.read_text() for file in source_files("console/src"))
    reasons = {word for words in REASON.findall(sources) for word in words if word[:1].isupper()}
    assert {"Unauthorized", "RunEnded", "NotFound"} <= reasons
    assert reasons - {"Refused"} <= words_in_first_cells(errors())


def test_every_code_has_a_line_with_its_status() -> None:
    rows = [[cell.strip() for cell in line.split("|")[2:4]] for line in errors().splitlines() if line.startswith("| `")]
    documented = {int(status): code.strip("`") for code, status in rows}
    assert documented == refusals.CODES


def test_only_health_needs_no_token(description: Object) -> None:
    free = {name for name, operation in operations(description).items() if not operation.get("security")}
    assert free == {"GET /healthz", "GET /readyz"}


def test_every_answer_and_every_body_has_a_description(description: Object) -> None:
    for name, operation in operations(description).items():
        good = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
        assert "content" in good or "204" in operation["responses"], name
        assert operation["summary"], name
        assert ("requestBody" in operation) is (
            name.split()[0] in ("PUT", "PATCH") or name in ("POST /api/v1/runs", "POST /api/v1/api-keys")
        ), name
    assert "422" not in str({name: list(operation["responses"]) for name, operation in operations(description).items()})


def test_every_schema_reference_resolves(description: Object) -> None:
    schemas = description["components"]["schemas"]
    named = set(re.findall(r"'#/components/schemas/(\w+)'", str(description)))
    assert {"SympoziumInstance", "AgentRun", "ErrorAnswer"} <= named
    assert named <= set(schemas)


def test_the_chart_mounts_tokens_and_keys_where_they_are_read() -> None:
    template = (ROOT / "charts/sympozium/templates/console.yaml").read_text()
    for folder in (environment.CONSOLE_TOKENS_DIR, environment.CONSOLE_KEYS_DIR):
        assert f"mountPath: {folder}\n" in template
    assert f"name: {environment.NAMESPACE}\n" in template


def test_the_console_starts_with_the_settings_of_the_chart_and_not_without() -> None:
    assert from_environment({environment.NAMESPACE: "here"}).namespace == "here"
    with pytest.raises(InvalidSetting, match=environment.NAMESPACE):
        from_environment({})


def test_the_console_listens_at_the_host_itself_by_hand_and_at_the_pods_addresses_in_the_chart() -> None:
    template = (ROOT / "charts/sympozium/templates/console.yaml").read_text()
    assert from_environment({environment.NAMESPACE: "here"}).bind == "127.0.0.1"
    assert f'- name: {environment.BIND}\n              value: "0.0.0.0"\n' in template
    with pytest.raises(InvalidSetting, match=environment.BIND):
        from_environment({environment.NAMESPACE: "here", environment.BIND: "localhost"})


def test_the_time_for_bodies_is_a_setting_within_bounds() -> None:
    default, longer = ({environment.NAMESPACE: "here"} | more for more in ({}, {environment.BODY_TIMEOUT: "2m"}))
    assert (from_environment(default).body_seconds, from_environment(longer).body_seconds) == (15, 120)
    with pytest.raises(InvalidSetting, match=environment.BODY_TIMEOUT):
        from_environment(default | {environment.BODY_TIMEOUT: "2h"})


def test_streams_end_within_the_pods_grace_period() -> None:
    template = (ROOT / "charts/sympozium/templates/console.yaml").read_text()
    [pause] = [yaml.safe_load(line)["seconds"] for line in template.splitlines() if line.strip().startswith("seconds:")]
    assert pause + from_environment({environment.NAMESPACE: "here"}).grace_seconds < 30
