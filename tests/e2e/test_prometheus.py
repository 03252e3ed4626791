"""A Prometheus that scrapes every part: it takes the chart's alerts, and answers each query of the alerts and of the dashboard."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from tests.contract.documents import ROOT
from tests.e2e.chart_rendering import pick, rendered
from tests.e2e.conftest import Endpoint, Namespace, Object, authority, until
from tests.e2e.test_clients import CLIENTS

PROGRAMS = CLIENTS / "prometheus/usr/bin"
PORT = 19090
FAILURES = re.compile(
    r"refused_total|errors_total|unreadable_objects|watch_failures|loop_failures|error!~|key_tokens_today|key_token_budget"
    "|repairs_delayed|tool_call|policy_denied|tunnels_total|archive_cost"
)
"""Metrics by label that have no sample before something fails or is refused, a tool is called, or a cost is archived."""

pytestmark = pytest.mark.skipif(not PROGRAMS.exists(), reason="local/clients.sh found no package of Prometheus")


@dataclass(frozen=True)
class Prometheus:
    http: httpx2.Client

    def ask(self, expression: str) -> list[Object]:
        answer = self.http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        result: list[Object] = answer["data"]["result"]
        return result


def alerts() -> Object:
    documents = rendered("metrics.rules.enabled=true", "metrics.rules.labels.release=prom")
    made = pick(documents, "PrometheusRule", "sympozium")
    assert made["metadata"]["labels"]["release"] == "prom"
    spec: Object = made["spec"]
    return spec


def scrape_config(targets: list[tuple[str, dict[str, str]]], rules: Path) -> str:
    static = [{"targets": [address], "labels": labels} for address, labels in targets]
    scrape = {"job_name": "sympozium", "scrape_interval": "1s", "static_configs": static}
    return yaml.safe_dump({"rule_files": [str(rules)], "scrape_configs": [scrape]})


def targets(system: Namespace, chat: Endpoint) -> list[tuple[str, dict[str, str]]]:
    found = []
    for component in ("operator", "runs", "console", "egress"):
        found += addresses(system, f"app.kubernetes.io/component={component}", {})
    return found + addresses(chat.namespace, f"sympozium.ai/run={chat.run}", {"sympozium_instance": chat.instance})


def addresses(namespace: Namespace, selector: str, labels: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    pods = [pod for pod in namespace.list("pods", "-l", selector) if pod["status"].get("podIP")]
    assert pods, selector
    place = {"namespace": namespace.name}
    return [
        (authority(pod["status"]["podIP"], 9090), labels | place | {"pod": pod["metadata"]["name"]}) for pod in pods
    ]


@pytest.fixture(scope="module")
def prometheus(system: Namespace, _chat: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    rules, config = folder / "rules.yaml", folder / "prometheus.yaml"
    rules.write_text(yaml.safe_dump(alerts()))
    subprocess.run([PROGRAMS / "promtool", "check", "rules", rules], check=True, capture_output=True)
    config.write_text(scrape_config(targets(system, _chat), rules))
    command = [str(PROGRAMS / "prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{PORT}"], stdout=log, stderr=log) as process,
    ):
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as http:
                until(lambda: is_ready(http), within=60, why=(folder / "log").read_text)
                yield Prometheus(http)
        finally:
            process.terminate()


def is_ready(http: httpx2.Client) -> bool:
    with suppress(httpx2.TransportError):
        return http.get("/-/ready").status_code == 200
    return False


def dashboard() -> list[str]:
    panels = json.loads((ROOT / "charts/sympozium/files/dashboard.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def left_of_the_bound(expression: str) -> str:
    """Return what an alert compares with its bound."""
    return re.sub(r"\s[<>]\s[\d.]+$", "", expression)


def filled(expression: str, chat: Endpoint) -> str:
    values: dict[str, Any] = {"namespace": chat.namespace.name, "instance": chat.instance, "__rate_interval": "10s"}
    for name, value in values.items():
        expression = expression.replace(f"${name}", value)
    return re.sub(r"\[\d+m\]", "[10s]", expression)


def test_every_query_of_alerts_and_dashboard_has_data(prometheus: Prometheus, chat: Endpoint) -> None:
    until(lambda: prometheus.ask("up") and not prometheus.ask("up == 0"), within=60, why=lambda: prometheus.ask("up"))
    chat.use_model("status:400")
    assert chat.chat().status_code == 400  # a run that failed, before the rates begin
    chat.use_model("instant")
    assert chat.chat().status_code == 200
    time.sleep(3)  # scrapes that have seen it
    rules = [rule["expr"] for group in alerts()["groups"] for rule in group["rules"]]
    queries = [filled(query, chat) for query in [*dashboard(), *map(left_of_the_bound, rules)]]
    until(lambda: not without_data(prometheus, queries), within=30, why=lambda: without_data(prometheus, queries))


def without_data(prometheus: Prometheus, queries: list[str]) -> list[str]:
    return [query for query in queries if not prometheus.ask(query) and not FAILURES.search(query)]


def test_the_alerts_are_loaded_and_evaluated(prometheus: Prometheus) -> None:
    def rules() -> list[Object]:
        groups = prometheus.http.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(lambda: all(rule["health"] == "ok" for rule in rules()), within=90, why=rules)
    assert len(rules()) == len(alerts()["groups"][0]["rules"])
