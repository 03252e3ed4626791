"""The reference pages have a line for everything a user can meet, and none for what is not there."""

import ast
import json
import re
from collections.abc import Iterator

import pytest
import yaml
from tests.contract.documents import ROOT, page, source_files, words_in_first_cells

from sympozium_api.terminal_status import OLDEST_LEFT_OUT
from sympozium_api.tool_binding import GATHERING
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_egress.egress_metrics import EgressMetrics
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_webproxy.metrics import WebProxyMetrics

VARIABLE = re.compile(r"\bSYMPOZIUM_[A-Z_]*[A-Z]\b")
ROUTE = re.compile(r'@router\.(get|post|put|patch|delete)\("([^"]+)"\)|Route\("([^"]+)"')


def calls(*folders: str) -> Iterator[ast.Call]:
    for file in source_files(*folders):
        yield from (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def error_words() -> set[str]:
    """Values of ``error.code`` and of ``status.error.type``: the codes of the web-proxy's refusals, and
    the types in end records and terminal statuses, which are made by functions named ``error``, ``error_of`` or ``Failure``.
    """
    found: set[str] = set()
    for call in calls("webproxy/src", "lib/src"):
        found |= {text(keyword.value) or "" for keyword in call.keywords if keyword.arg == "code"}
        if name_of(call) == "Refusal":
            found.add(text(call.args[1]) or "")
    for call in calls():
        if name_of(call) == "model_error":
            found |= {text(keyword.value) or "" for keyword in call.keywords if keyword.arg == "kind"}
        if name_of(call) in ("error", "error_of") and len(call.args) >= 3 and (kind := text(call.args[0])):
            found.add(kind)
    return found - {""}


def test_every_variable_has_a_line_and_every_line_a_variable() -> None:
    read = {name for file in source_files() for name in VARIABLE.findall(file.read_text())}
    assert words_in_first_cells(page("settings.md")) & set(VARIABLE.findall(page("settings.md"))) == read


def test_every_param_of_the_web_endpoint_has_a_line() -> None:
    skill = (ROOT / "charts/sympozium/files/skills/web-endpoint.yaml").read_text()
    params = set(re.findall(r"^    - name: (\w+)$", skill, re.MULTILINE))
    assert params
    assert params <= words_in_first_cells(page("settings.md"))


def test_the_chart_sets_only_variables_that_the_operator_reads() -> None:
    template = (ROOT / "charts/sympozium/templates/operator.yaml").read_text()
    sources = "".join(file.read_text() for file in source_files("crds/src", "operator/src"))
    assert set(VARIABLE.findall(template)) <= set(VARIABLE.findall(sources))


def test_every_error_has_a_line_and_every_line_an_error() -> None:
    callers, _ = page("errors.md").split("## The console\n")
    assert words_in_first_cells(callers) == error_words()


def reasons() -> set[str]:
    """Reasons of conditions: what ConditionUpdate and Probe are given, the functions and exceptions that make one, and the defaults
    of the CRDs.
    """
    found: set[str | None] = {GATHERING, OLDEST_LEFT_OUT}
    for call in calls("operator/src", "webproxy/src", "crds/src", "egress/src"):
        chosen = [
            keyword.value
            for keyword in call.keywords
            if keyword.arg == "reason" and name_of(call) in ("ConditionUpdate", "Probe", "Verification", "Verdict")
        ]
        if name_of(call) in (
            "_refused",
            "_not_ready",
            "StartFailure",
            "Stalled",
            "NetworkFailure",
            "in_progress",
            "Flaw",
            "_unknown",
            "ProviderUnusable",
            "Verification",
        ):
            chosen += call.args[:1]
        if name_of(call) == "_result":  # of the issuer's check
            chosen += call.args[1:2]
        found |= {text(node) for value in chosen for node in ast.walk(value) if isinstance(node, ast.expr)}
    return {reason for reason in found if reason and re.fullmatch("([A-Z]+[a-z]+)+", reason)}


def test_every_reason_of_a_condition_has_a_line_and_every_line_a_reason() -> None:
    assert words_in_first_cells(page("conditions.md")) == reasons()


def test_every_route_has_a_line() -> None:
    sources = "".join(file.read_text() for file in source_files("webproxy/src", "egress/src"))
    paths = {route or internal for _, route, internal in ROUTE.findall(sources)}
    documented = page("http.md")
    assert len(paths) > 3
    assert [path for path in sorted(paths) if f"{path.replace(':path', '')}`" not in documented] == []


def metrics() -> dict[str, str]:
    """Names and kinds of all metrics of all parts."""
    kinds = (OperatorMetrics, WebProxyMetrics, AgentApiMetrics, ConsoleMetrics, EgressMetrics)
    registries = [made().registry for made in kinds]
    families = [family for registry in registries for family in registry.collect()]
    ours = [family for family in families if not family.name.startswith("process_")]
    return {f"{f.name}_total" if f.type == "counter" else f.name: f.type for f in ours}


def test_every_metric_has_a_line_and_every_line_a_metric() -> None:
    assert len(metrics()) > 15
    assert words_in_first_cells(page("metrics.md")) == set(metrics())


def test_metrics_are_named_as_prometheus_wants_them() -> None:
    for name, kind in metrics().items():
        assert name.startswith("sympozium_")
        assert (kind == "counter") == name.endswith("_total"), name
        assert (kind == "histogram") == name.endswith("_seconds"), name


def test_the_dashboard_asks_for_metrics_that_exist_as_what_they_are() -> None:
    dashboard = json.loads((ROOT / "charts/sympozium/files/dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable]
    samples = {f"{name}_bucket" if kind == "histogram" else name for name, kind in metrics().items()}
    found = {name for expression in asked for name in re.findall(r"\bsympozium_\w+", expression)} - {
        "sympozium_instance"
    }
    assert found == samples


def test_the_alerts_ask_for_metrics_that_exist_and_have_a_line_in_the_guide() -> None:
    [group] = yaml.safe_load((ROOT / "charts/sympozium/files/rules.yaml").read_text())["groups"]
    asked = {name for rule in group["rules"] for name in re.findall(r"\bsympozium_\w+", rule["expr"])}
    assert asked - {"sympozium_instance"} <= set(metrics())
    guide = (ROOT / "docs/guides/observability.md").read_text()
    assert [rule["alert"] for rule in group["rules"] if f"`{rule['alert']}`" not in guide] == []


def event_reasons() -> set[str]:
    """Reasons of the operator's Events, and of the egress guard's."""
    told = [call.args[1] for call in calls("operator/src") if name_of(call) == "EventMessage"]
    emitted = [call for call in calls("egress/src") if name_of(call) == "event_body"]
    told += [keyword.value for call in emitted for keyword in call.keywords if keyword.arg == "reason"]
    return {reason for value in told if (reason := text(value))}


def test_every_event_has_a_line_and_every_line_an_event() -> None:
    told = {"Accepted", "SecretFound", "NoSecretNeeded", "Serving"}  # by a condition's reason, when it becomes True
    assert told <= words_in_first_cells(page("conditions.md"))
    assert words_in_first_cells(page("events.md")) == event_reasons() | told


@pytest.mark.parametrize(
    "name",
    [
        "runs.retention",
        "runs.failedJobRetention",
        "runs.queueTimeout",
        "runs.startTimeout",
        "runs.pendingPods",
        "webProxy.keepAlive",
        "runs.storedBytes",
        "webProxy.maxBody",
        "webProxy.keyGrace",
        "webProxy.storeWait",
        "webProxy.probeInterval",
        "console.bodyTimeout",
        "console.shutdownGrace",
    ],
)
def test_a_value_of_the_chart_that_becomes_a_variable_stands_in_the_settings(name: str) -> None:
    assert name in page("settings.md")
