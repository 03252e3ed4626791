"""Objects of the chart for Prometheus, Grafana and OpenTelemetry, as Helm renders them: none by default."""

import json
from typing import Any

import pytest
from tests.e2e.chart_rendering import CHART, helm, pick, pod_of, rendered, variables
from tests.unit.operator.web_proxy_objects import web_proxy_objects

from sympozium_api import environment
from sympozium_operator.desired import rbac, web_proxy
from sympozium_operator.operator_settings import from_environment

ALL = ("metrics.serviceMonitor.enabled=true", "metrics.dashboard.enabled=true")


def monitors(*values: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in rendered(*values) if item["kind"] == "ServiceMonitor"}


def test_a_cluster_without_prometheus_gets_nothing_for_it() -> None:
    kinds = {item["kind"] for item in rendered()}
    assert not {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"} & kinds


@pytest.mark.parametrize("name", ["sympozium-operator", "sympozium-runs", "sympozium-console", "sympozium-egress"])
def test_a_service_monitor_finds_the_service_and_its_port(name: str) -> None:
    documents = rendered(*ALL)
    spec = monitors(*ALL)[name]["spec"]
    service = pick(documents, "Service", name)
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    [endpoint] = spec["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert endpoint["interval"] == "30s"
    [container] = pod_of(documents, name)["containers"]
    names = [port["name"] for port in container["ports"]]
    assert [port["targetPort"] for port in service["spec"]["ports"] if port["targetPort"] not in names] == []
    assert "metrics" in names


def test_metrics_stay_at_the_old_ports_only_where_a_value_says_so() -> None:
    parts = ("sympozium-operator", "sympozium-runs", "sympozium-console", "sympozium-egress")
    for values, expected in (((), None), (("metrics.onHttpPort=true",), "true")):
        documents = rendered(*values)
        environs = [pod_of(documents, name)["containers"][0].get("env", []) for name in parts]
        found = [{v["name"]: v.get("value") for v in environ}.get(environment.METRICS_ON_HTTP) for environ in environs]
        assert found == [expected] * len(parts)


def test_web_proxies_are_found_in_all_namespaces_by_what_the_operator_labels_them_with() -> None:
    [service] = [item for item in web_proxy_objects() if item["kind"] == "Service"]
    spec = monitors(*ALL)["sympozium-web-proxies"]["spec"]
    assert spec["namespaceSelector"] == {"any": True}
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert spec["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert rbac.SERVER_COMPONENT in spec["selector"]["matchLabels"].values()


def test_labels_and_interval_reach_every_monitor() -> None:
    found = monitors(*ALL, "metrics.serviceMonitor.labels.release=prom", "metrics.serviceMonitor.interval=10s")
    assert len(found) == 5
    for monitor in found.values():
        assert monitor["metadata"]["labels"]["release"] == "prom"
        assert [endpoint["interval"] for endpoint in monitor["spec"]["endpoints"]] == ["10s"]


def test_the_dashboard_is_found_by_grafanas_sidecar_and_arrives_whole() -> None:
    documents = rendered(*ALL, "metrics.dashboard.labels.team=agents")
    config = pick(documents, "ConfigMap", "sympozium-dashboard")
    labels = config["metadata"]["labels"]
    assert (labels["grafana_dashboard"], labels["team"]) == ("1", "agents")
    [text] = config["data"].values()
    assert json.loads(text) == json.loads((CHART / "files/dashboard.json").read_text())


def test_without_an_endpoint_nobody_is_told_of_tracing() -> None:
    documents = rendered()
    for deployment in ("sympozium-operator", "sympozium-runs"):
        assert not [name for name in variables(pod_of(documents, deployment)) if "OTEL" in name or "TRACING" in name]


def test_an_endpoint_reaches_web_proxies_by_the_operator_and_the_runs_server() -> None:
    documents = rendered("tracing.endpoint=http://collector:4318", "tracing.sampleRatio=0.25")
    settings = from_environment(variables(pod_of(documents, "sympozium-operator")))
    of_proxies = dict(web_proxy.TraceExport(settings.tracing_endpoint, settings.tracing_sample_ratio).variables)
    assert of_proxies[environment.OTLP_ENDPOINT] == "http://collector:4318"
    assert variables(pod_of(documents, "sympozium-runs")) == of_proxies


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("tracing.endpoint=collector", "/tracing/endpoint"),
        ("tracing.sampleRatio=2", "/tracing/sampleRatio"),
        ("metrics.serviceMonitor.interval=often", "/metrics/serviceMonitor/interval"),
        ("metrics.dashboard.enabled=maybe", "/metrics/dashboard/enabled"),
        ("metrics.rules.enabled=maybe", "/metrics/rules/enabled"),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_its_name(value: str, named: str) -> None:
    done = helm("template", "release", str(CHART), "--set", value)
    assert done.returncode != 0
    assert named in done.stderr
