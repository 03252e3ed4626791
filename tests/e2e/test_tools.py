"""Tools on a real cluster: a question over a call of a webhook to the answer, and what never reaches the webhook."""

import asyncio
import itertools
import json
import logging
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from tests.e2e.conftest import PATIENCE, Endpoint, Namespace, Object, agent_run, instance, until
from tests.e2e.webhooks import Webhook, deployed
from tests.mcp_clients import connected

log = logging.getLogger(__name__)

API_VERSION = "sympozium.ai/v1alpha1"
KEY = "sk-e2e-0123456789"
CITY = {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}, "required": ["city"]}
OSLO = {"city": "Oslo"}
CHANGES = 20
"""Changes of a Tool whose way to the next task is timed."""

Grant = tuple[Object, Object]


def tool(name: str, url: str, *, parameters: Object | None = None, auth: Object | None = None) -> Object:
    """A Tool whose function is its name."""
    spec = {"title": name, "function": name, "parameters": parameters, "webhook": {"url": url} | (auth or {})}
    spec = {field: value for field, value in spec.items() if value is not None}
    return {"apiVersion": API_VERSION, "kind": "Tool", "metadata": {"name": name.replace("_", "-")}, "spec": spec}


def binding(name: str, *hosts: str, **spec: Any) -> Object:
    """The grant of a Tool to the agent of these tests."""
    spec = {"agentRef": "tooled", "toolRef": name.replace("_", "-"), "allowedDomains": list(hosts)} | spec
    return {
        "apiVersion": API_VERSION,
        "kind": "ToolBinding",
        "metadata": {"name": name.replace("_", "-")},
        "spec": spec,
    }


def secret(name: str, *, labelled: bool) -> Object:
    labels = {"sympozium.ai/tool-key": "true"} if labelled else {}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"api-key": KEY}}


def granted(webhook: Webhook) -> Iterator[Object]:
    """All Tools of these tests, each with its ToolBinding."""
    host, base = webhook.host, webhook.base
    keyed = {"auth": "apiKey", "secretRef": "weather-key"}
    yield from (secret("weather-key", labelled=True), secret("other-key", labelled=False))
    yield from (tool("weather", f"{base}/weather", parameters=CITY, auth=keyed), binding("weather", host))
    yield from (tool("astray", f"{base}/astray"), binding("astray", "api.example.com"))
    yield from (tool("to_api", f"{base}/to_api?to=https://kubernetes.default.svc/"),)
    yield binding("to_api", host, "kubernetes.default.svc")
    yield from (tool("to_other", f"{base}/to_other?to=http://model:8080/release"), binding("to_other", host))
    yield from (tool("to_metadata", f"{base}/to_metadata?to=http://169.254.169.254/latest/"),)
    yield binding("to_metadata", host, "169.254.169.254")
    yield from (tool("late", f"{base}/late?seconds=20"), binding("late", host, timeoutMs=4000))
    yield from (tool("flaky", f"{base}/flaky?failures=2"), binding("flaky", host))
    yield tool("keyless", f"{base}/keyless", auth={"auth": "apiKey", "secretRef": "other-key"})
    yield binding("keyless", host)
    yield from (tool("strict", f"{base}/strict", parameters=CITY), binding("strict", host))
    yield from (tool("twice", f"{base}/twice"), binding("twice", host, rateLimit="2/hour"))
    long = {"timeoutMs": 90_000}
    lasting = tool("lasting", f"{base}/lasting?first=60")
    yield from (lasting | {"spec": lasting["spec"] | {"timeoutSeconds": 90}}, binding("lasting", host, **long))
    yield from (tool("fleeting", f"{base}/fleeting"), binding("fleeting", host))


@pytest.fixture(scope="module")
def webhook(namespace: Namespace, webproxy_image: str) -> Webhook:
    return deployed(namespace, webproxy_image)


@pytest.fixture(scope="module")
def tooled(namespace: Namespace, webhook: Webhook) -> Iterator[Endpoint]:
    """An agent with tools, whose model calls what the question names, and two idle pods."""
    agent = {"warmPool": {"size": 2}, "allowedModels": ["turns", "echo"]}
    limit = {"requestsPerMinute": 60_000, "burstSize": 1000}
    objects = list(granted(webhook))
    namespace.apply(
        *objects, instance("tooled", model="calls", agent=agent, webEndpoint={"enabled": True, "rateLimit": limit})
    )
    endpoint = Endpoint(namespace, "tooled").serves()
    in_force = [each["metadata"]["name"] for each in objects if each["kind"] == "ToolBinding"]
    in_force.remove("astray")
    waited = ("--for=condition=InForce", "--timeout=4m")
    namespace.kubectl("wait", *(f"toolbinding/{name}" for name in in_force), *waited)
    functions = {name.replace("-", "_") for name in in_force}
    until(lambda: functions <= set(re.findall(r"\w+", offered(endpoint))), within=10)
    yield endpoint
    endpoint.close()
    namespace.delete("instance", "tooled", "--wait=false")
    namespace.delete("tools", "--all")  # the operator deletes their ToolBindings


def offered(endpoint: Endpoint) -> str:
    """What reached the model, with the tools that it was offered."""
    answer = endpoint.chat("hello", model="echo")
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def asking(name: str, arguments: Object | None = None) -> str:
    """A question upon which the model calls a tool, and then repeats its result."""
    return f"[[{name} {json.dumps(arguments or {})}]]"


def asked(endpoint: Endpoint, name: str, arguments: Object | None = None) -> str:
    """The result of one call, as the model was told it."""
    answer = endpoint.chat(asking(name, arguments))
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def by_chat(endpoint: Endpoint) -> str:
    return endpoint.chat(asking("weather", OSLO)).text


def by_responses(endpoint: Endpoint) -> str:
    return endpoint.sdk.responses.create(model="default", input=asking("weather", OSLO)).output_text


def by_mcp(endpoint: Endpoint) -> str:
    async def call() -> str:
        async with connected(endpoint.url, endpoint.key) as client:
            return str(await client.call_tool("ask_agent", {"task": asking("weather", OSLO)}))

    return asyncio.run(call())


def by_kubectl(endpoint: Endpoint) -> str:
    run = agent_run("tooled-by-hand", agentRef="tooled", task=asking("weather", OSLO))
    endpoint.namespace.apply(run)
    endpoint.namespace.kubectl("wait", "run/tooled-by-hand", "--for=condition=Complete", "--timeout=4m")
    return endpoint.namespace.kubectl("get", "run", "tooled-by-hand", "-o", "yaml")


@pytest.mark.parametrize("door", [by_chat, by_responses, by_mcp, by_kubectl])
def test_a_question_at_every_door_is_answered_with_a_tools_result(
    tooled: Endpoint, webhook: Webhook, door: Callable[[Endpoint], str]
) -> None:
    before = len(webhook.received("weather"))
    assert "weather is sunny" in door(tooled)
    [call] = webhook.received("weather")[before:]
    assert json.loads(call["body"]) == OSLO
    assert call["headers"]["x-api-key"] == KEY
    assert "authorization" not in call["headers"]


def test_kubectl_shows_the_tools_that_hold_and_a_runs_steps(tooled: Endpoint, webhook: Webhook) -> None:
    namespace = tooled.namespace
    shown = {line.split()[0]: line for line in namespace.kubectl("get", "tools,toolbindings").splitlines() if line}
    assert "True" in shown["tool.sympozium.ai/weather"]
    assert "True" in shown["toolbinding.sympozium.ai/weather"]
    assert "DomainNotAllowed" in shown["toolbinding.sympozium.ai/astray"]
    run = namespace.get("run", tooled.chat(asking("weather", OSLO)).headers["x-sympozium-run"])
    first, called, last = run["status"]["steps"]
    assert (first["kind"], last["kind"]) == ("model", "model")
    assert (called["kind"], called["name"], json.loads(called["args"])) == ("tool", "weather", OSLO)
    assert run["status"]["tokenUsage"]["toolCalls"] == 1
    assert KEY not in json.dumps(run)
    key = webhook.received("weather")[-1]["headers"]["idempotency-key"]
    assert key == f"{run['metadata']['uid']}.{called['id']}"


@pytest.mark.parametrize(
    ("name", "reached", "told"),
    [
        ("astray", 0, "Hello from"),  # not offered
        ("to_api", 1, "refused: the address of kubernetes.default.svc"),
        ("to_metadata", 1, "refused: the address of 169.254.169.254"),
        ("to_other", 1, "refused: the host model is not in allowedDomains"),
        ("late", 1, "failed: no answer within 4 seconds"),
        ("keyless", 0, "refused: the Secret other-key lacks the label"),
        ("strict", 0, "the call was not made: arguments.city"),
    ],
)
def test_what_is_not_allowed_is_not_sent_and_the_run_goes_on(
    tooled: Endpoint, webhook: Webhook, name: str, reached: int, told: str
) -> None:
    result = asked(tooled, name, {"city": 5} if name == "strict" else {})
    assert told in result
    assert len(webhook.received(name)) == reached


def test_a_hijacked_model_calls_nothing_that_it_was_not_offered(tooled: Endpoint, webhook: Webhook) -> None:
    turns = [{"calls": [["c1", "astray", "{}"], ["c2", "strict", '{"city": "x"}']]}, {"content": "done"}]
    assert "done" in tooled.chat(json.dumps(turns), model="turns").text
    assert not webhook.received("astray")
    assert not webhook.received("strict")


def test_a_call_is_tried_again_with_the_same_idempotency_key(tooled: Endpoint, webhook: Webhook) -> None:
    assert "flaky is sunny" in asked(tooled, "flaky")
    keys = [call["headers"]["idempotency-key"] for call in webhook.received("flaky")]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_a_rate_limit_holds_over_runs_at_once(tooled: Endpoint, webhook: Webhook) -> None:
    with ThreadPoolExecutor(3) as callers:
        results = list(callers.map(lambda _: asked(tooled, "twice"), range(3)))
    assert len(webhook.received("twice")) == 2
    assert sum("the tool's rate limit of 2/hour is reached" in result for result in results) == 1


@pytest.mark.alone  # it kills the guard that other tests reach
def test_a_guard_that_is_killed_in_a_call_costs_no_run(tooled: Endpoint, webhook: Webhook, system: Namespace) -> None:
    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(asked, tooled, "lasting")
        until(lambda: webhook.received("lasting"), within=30)
        guards = system.list("pods", "-l", "app.kubernetes.io/component=egress")
        for guard in guards:
            system.delete("pod", guard["metadata"]["name"], "--grace-period=1", "--wait=false")
        assert "lasting is sunny" in waiting.result()
    keys = {call["headers"]["idempotency-key"] for call in webhook.received("lasting")}
    assert len(keys) == 1
    assert len(webhook.received("lasting")) > 1
    system.kubectl("rollout", "status", "deployment/sympozium-egress", "--timeout=4m")


def test_a_binding_that_is_removed_under_load_ends_the_calls_at_once(tooled: Endpoint, webhook: Webhook) -> None:
    stop, results = threading.Event(), list[str]()

    def load() -> None:
        while not stop.is_set():
            results.append(asked(tooled, "fleeting"))

    with ThreadPoolExecutor(4) as callers:
        loads = [callers.submit(load) for _ in range(4)]
        try:
            until(lambda: len(webhook.received("fleeting")) > 8, within=60)
            tooled.namespace.delete("toolbinding", "fleeting")
            removed = time.time()
            until(lambda: results[-1:] and results[-1].startswith("Hello"), within=30)  # the model is not offered it
        finally:
            stop.set()
        for each in loads:
            each.result()
    assert max(call["at"] for call in webhook.received("fleeting")) < removed + PATIENCE * 0.5


@pytest.mark.measures
def test_a_changed_tool_counts_for_the_next_task_within_a_second(tooled: Endpoint) -> None:
    """From the API server's answer to a change, to the start of a request that has it, of pods that waited since before."""
    with documents(tooled) as shown:
        seconds = sorted(_seconds_until_offered(tooled, shown, f"description {n} of the tool") for n in range(CHANGES))
    p50, p95 = statistics.median(seconds), seconds[int(0.95 * CHANGES) - 1]
    log.info("changed Tools count after p50 %.3f s, p95 %.3f s, n=%d", p50, p95, CHANGES)
    assert p95 <= PATIENCE * 1.0


@contextmanager
def documents(endpoint: Endpoint) -> Iterator[Iterator[str]]:
    """The digests that the instance's status shows, each as it comes, from the next one on."""
    namespace, form = endpoint.namespace.name, 'jsonpath={.status.agentDocument}{"\\n"}'
    command = ["kubectl", "-n", namespace, "get", "instance", endpoint.instance, "--watch", "-o", form]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        try:
            shown = (digest for digest, _ in itertools.groupby(watch.stdout))
            next(shown)  # the present one
            yield shown
        finally:
            watch.kill()


def _seconds_until_offered(endpoint: Endpoint, shown: Iterator[str], description: str) -> float:
    endpoint.namespace.patch("tool", "weather", {"spec": {"description": description}})
    changed = time.monotonic()
    next(shown)  # requests before it would only keep the machine busy
    while time.monotonic() < changed + 30:
        begun = time.monotonic()
        if description in offered(endpoint):
            return begun - changed
    raise AssertionError("the change has no effect")
