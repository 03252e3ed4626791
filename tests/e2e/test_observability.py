"""Observability of a request on the real cluster: its trace, its lines in every part's log, Events, metrics."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.conftest import (
    LONGEST,
    Endpoint,
    Namespace,
    Object,
    Refused,
    agent_run,
    authority,
    installed_with,
    instance,
    scripted_server,
    until,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "vendor=opaque"}
WORDS = "words-that-no-log-may-hold-51d2"
COLLECTOR = Path(__file__).parents[1] / "fakes/collector.py"


def ask(endpoint: Endpoint, **headers: str) -> httpx2.Response:
    """Over a connection of its own: an open one leads to the pod that was there before."""
    body = {"messages": [{"role": "user", "content": WORDS}]}
    own = {"Authorization": f"Bearer {endpoint.key}"} | headers
    return httpx2.post(f"{endpoint.url}/v1/chat/completions", json=body, headers=own, timeout=LONGEST)


def headers_at_the_model(answer: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(answer)["headers"]
    return found


class TestTrace:
    def test_the_callers_context_reaches_the_model(self, chat: Endpoint) -> None:
        chat.use_model("echo")
        seen = headers_at_the_model(ask(chat, **CALLER).json()["choices"][0]["message"]["content"])
        assert {name: seen[name] for name in CALLER} == CALLER

    def test_a_request_without_one_brings_none(self, chat: Endpoint) -> None:
        chat.use_model("echo")
        seen = headers_at_the_model(ask(chat).json()["choices"][0]["message"]["content"])
        assert not set(CALLER) & set(seen)

    def test_a_run_made_with_kubectl_may_have_one(self, namespace: Namespace) -> None:
        run = agent_run("traced", task="hello", model={"model": "echo"})
        run["metadata"]["annotations"] = {f"sympozium.ai/{name}": value for name, value in CALLER.items()}
        namespace.apply(run)
        seen = headers_at_the_model(namespace.run_ends("traced")["result"])
        assert {name: seen[name] for name in CALLER} == CALLER


@pytest.mark.alone
def test_spans_of_all_parts_hang_below_the_callers(namespace: Namespace, chat: Endpoint, webproxy_image: str) -> None:
    namespace.apply(*scripted_server("collector", COLLECTOR, webproxy_image))
    namespace.kubectl("rollout", "status", "deployment/collector", "--timeout=4m")
    collector = f"http://{authority(namespace.get('service', 'collector')['spec']['clusterIP'], 8080)}"

    def told(name: str, variable: str) -> bool:
        [container] = namespace.get("deployment", name)["spec"]["template"]["spec"]["containers"]
        return variable in [entry["name"] for entry in container["env"]]

    server = f"{chat.run}-server"
    with installed_with(f"tracing.endpoint=http://collector.{namespace.name}.svc:8080"):
        until(lambda: told(server, "OTEL_EXPORTER_OTLP_ENDPOINT"), within=40)
        namespace.kubectl("rollout", "status", f"deployment/{server}", "--timeout=4m")
        chat.use_model("echo")

        def traced() -> tuple[str, str] | None:
            """The run of a request to a pod that exports, and what its model saw."""
            response = ask(chat, **CALLER)
            if response.status_code != 200:  # the pod before is about to go
                return None
            seen = headers_at_the_model(response.json()["choices"][0]["message"]["content"])["traceparent"]
            return None if seen == CALLER["traceparent"] else (response.headers["x-sympozium-run"], seen)

        run, at_model = until(traced, within=30)
        wanted = {"POST /v1/chat/completions", "invoke_agent chat", "POST /runs/{name}/events"}

        def exported() -> dict[str, Any] | None:
            found = httpx2.get(f"{collector}/spans", timeout=LONGEST).json()
            spans = {s["name"]: s for s in found if s["trace"] == TRACE and s["run"] in (run, None)}
            return spans if wanted <= set(spans) else None

        spans = until(exported, within=20)
        assert spans["POST /v1/chat/completions"]["parent"] == CALLER["traceparent"].split("-")[2]
        assert spans["invoke_agent chat"]["parent"] == spans["POST /v1/chat/completions"]["span"]
        assert spans["invoke_agent chat"]["run"] == run
        assert spans["POST /runs/{name}/events"]["parent"] == spans["invoke_agent chat"]["span"]
        assert at_model == f"00-{TRACE}-{spans['invoke_agent chat']['span']}-01"
        assert spans["invoke_agent chat"]["service"] == "sympozium-web-proxy"
    until(lambda: not told(server, "OTEL_EXPORTER_OTLP_ENDPOINT"), within=40)
    namespace.kubectl("rollout", "status", f"deployment/{server}", "--timeout=4m")


def lines(namespace: Namespace, *selector: str) -> list[Object]:
    """Everything that some pods logged: all of it is JSON."""
    text = namespace.kubectl("logs", "--all-containers", "--tail=-1", *selector)
    assert WORDS not in text
    return [json.loads(line) for line in text.splitlines()]


def of_pod(namespace: Namespace, run: str) -> list[Object]:
    """The same of a run's pod; nothing as long as its node has not told that it ran."""
    with suppress(Refused):
        return lines(namespace, "-l", f"sympozium.ai/run={run}")
    return []


class TestLogs:
    def test_one_request_is_found_in_the_logs_of_all_parts(
        self, namespace: Namespace, system: Namespace, chat: Endpoint
    ) -> None:
        chat.use_model("status:500")  # the Job of a failed run is kept, with its pod's log
        response = ask(chat, **CALLER, **{"x-request-id": "e2e-7"})
        run = response.headers["x-sympozium-run"]
        about = {
            "namespace": namespace.name,
            "instance": "chat",
            "run": run,
            "key_id": "api-key",
            "request_id": "e2e-7",
            "trace_id": TRACE,
        }

        def of_run(found: list[Object]) -> set[str]:
            """Return the events that were logged about the run; assert that each line has all the names."""
            its = [line for line in found if line.get("run") == run and line["event"] != "agent_started"]
            for line in its:
                assert about.items() <= line.items()
                assert {"event", "level", "timestamp"} < set(line)
            return {line["event"] for line in its}

        # The last lines come after the answer.
        agent = {"task_received", "model_called", "attempt_failed", "model_failed", "agent_ended"}
        until(lambda: of_run(of_pod(namespace, run)) == agent, within=10, why=lambda: of_pod(namespace, run))
        proxies = ("-l", "app.kubernetes.io/component=web-proxy,sympozium.ai/instance=chat")
        until(lambda: of_run(lines(namespace, *proxies)) == {"request", "pod request"}, within=10)
        until(lambda: of_run(lines(system, "-l", "app.kubernetes.io/component=operator")) == {"run ended"}, within=10)

    def test_a_run_made_with_kubectl_is_found_in_the_runs_servers_log(
        self, namespace: Namespace, system: Namespace
    ) -> None:
        namespace.apply(agent_run("logged", task=WORDS))
        namespace.run_ends("logged")

        def of_run() -> list[Object]:
            found = lines(system, "-l", "app.kubernetes.io/component=runs")
            return [line for line in found if (line.get("namespace"), line.get("run")) == (namespace.name, "logged")]

        routes = {"/runs/{name}/task", "/runs/{name}/events"}
        until(lambda: {line["route"] for line in of_run()} == routes, within=10, why=of_run)
        assert {line["instance"] for line in of_run()} == {"quiet"}


def told(namespace: Namespace, kind: str, name: str) -> list[str]:
    """Reasons of the Events of an object, as kubectl describe shows them, oldest first."""
    text = namespace.kubectl("describe", kind, name)
    _, _, events = text.partition("\nEvents:")
    return [line.split()[1] for line in events.splitlines() if line.strip().startswith(("Normal", "Warning"))]


class TestEvents:
    def test_an_instance_tells_its_story(self, namespace: Namespace) -> None:
        namespace.apply(instance("storied", skills=[{"skillPackRef": "web-endpoint"}]))
        endpoint = Endpoint(namespace, "storied").serves()
        endpoint.close()
        namespace.patch("instance", "storied", {"spec": {"skills": None}})
        story = ["Accepted", "ApiKeyGenerated", "Serving", "WebEndpointRemoved"]
        until(
            lambda: sorted(told(namespace, "instance", "storied")) == story,
            within=20,
            why=lambda: told(namespace, "instance", "storied"),
        )
        namespace.delete("instance", "storied")

    def test_a_trouble_that_comes_back_is_counted(self, namespace: Namespace) -> None:
        namespace.apply(instance("fickle"))
        until(lambda: namespace.status("instance", "fickle").get("phase") == "Running", within=10)
        for _ in range(2):
            namespace.patch("instance", "fickle", {"spec": {"mcpServers": [{"name": "files", "url": "http://files"}]}})
            until(lambda: namespace.status("instance", "fickle").get("phase") == "Error", within=10)
            namespace.patch("instance", "fickle", {"spec": {"mcpServers": None}})
            until(lambda: namespace.status("instance", "fickle").get("phase") == "Running", within=10)
        about = "involvedObject.kind=SympoziumInstance,involvedObject.name=fickle"

        def counts() -> dict[str, int]:
            return {e["reason"]: e["count"] for e in namespace.list("events", "--field-selector", about)}

        until(lambda: counts() == {"Accepted": 3, "InvalidSpec": 2}, within=10, why=counts)
        namespace.delete("instance", "fickle")

    def test_a_run_that_failed_or_was_cancelled_says_so_and_one_that_succeeded_nothing(
        self, namespace: Namespace
    ) -> None:
        namespace.apply(
            agent_run("told-failed", task="x", model={"model": "status:500"}),
            agent_run("told-cancelled", task="x", model={"model": "hang"}),
            agent_run("told-succeeded", task="x"),
        )
        until(lambda: namespace.status("run", "told-cancelled").get("phase") == "Running", within=30)
        namespace.patch("run", "told-cancelled", {"spec": {"cancel": True}})
        for run, reason in (("told-failed", "RunFailed"), ("told-cancelled", "RunCancelled")):
            until(
                lambda run=run, reason=reason: told(namespace, "run", run) == [reason],  # type: ignore[misc]
                within=30,
                why=lambda run=run: namespace.kubectl("describe", "run", run),  # type: ignore[misc]
            )
        namespace.run_ends("told-succeeded")
        assert told(namespace, "run", "told-succeeded") == []


@pytest.mark.parametrize(
    ("component", "metric"),
    [
        ("operator", "sympozium_operator_runs_admitted"),
        ("operator", "sympozium_operator_run_start_duration_seconds"),
        ("runs", "sympozium_runs_stored"),
    ],
)
def test_the_systems_parts_count(namespace: Namespace, system: Namespace, component: str, metric: str) -> None:
    name = f"counted-{component}-{metric.rpartition('_')[2]}"
    namespace.apply(agent_run(name, task="x"))
    namespace.run_ends(name)

    def counted() -> bool:
        pods = system.list("pods", "-l", f"app.kubernetes.io/part-of=sympozium,app.kubernetes.io/component={component}")
        texts = [
            httpx2.get(f"http://{authority(pod['status']['podIP'], 9090)}/metrics", timeout=LONGEST).text
            for pod in pods
        ]
        families = [family for text in texts for family in text_string_to_metric_families(text)]
        return any(sample.value > 0 for family in families if family.name == metric for sample in family.samples)

    until(counted, within=10)


def test_a_web_proxy_counts(chat: Endpoint) -> None:
    assert chat.chat().status_code == 200
    counted = (
        'sympozium_key_requests_total{key="api-key",status="200"}',
        'sympozium_tokens_total{key="api-key",type="input"}',
    )
    until(lambda: all(sample in chat.metrics() for sample in counted), within=10)
