"""Providers on a real cluster: a native dialect, a switch, a key that changes under load, and a fallback."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, authority, instance, responds, scripted_server, until
from tests.fakes import vendors
from tests.fakes.vendors import TOKENS

ANSWER = "".join(TOKENS)
QUESTIONS, AT_ONCE = 24, 4


def provider(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": "Provider",
        "metadata": {"name": name},
        "spec": spec | {"secretRef": "provider-key"},
    }


def secret(key: str) -> Object:
    metadata = {"name": "provider-key", "labels": {"sympozium.ai/model-key": "true"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"api-key": key}}


@pytest.fixture(scope="module")
def provided(namespace: Namespace, webproxy_image: str) -> Iterator[Endpoint]:
    """An agent on a Provider that speaks Anthropic's dialect, with a fallback on another one, and two idle pods."""
    agent = {
        "baseURL": None,
        "providerRef": "vendors",
        "fallbackModels": ["spare:instant"],
        "warmPool": {"size": 2},
    }
    body = instance("provided", model="claude-x", agent=agent, webEndpoint={"enabled": True})
    del body["spec"]["agents"]["default"]["baseURL"]
    body["spec"]["webEndpoint"]["rateLimit"] = {"requestsPerMinute": 60_000, "burstSize": 1000}
    namespace.apply(
        *scripted_server("vendors", Path(vendors.__file__), webproxy_image),
        secret("sk-one"),
        provider("vendors", type="anthropic_native", apiBase="http://vendors:8080/v1"),
        provider("spare", type="openai_compat", apiBase="http://model:8080/v1"),
        body,
    )
    namespace.kubectl("rollout", "status", "deployment/vendors", "--timeout=4m")
    endpoint = Endpoint(namespace, "provided").serves()
    yield endpoint
    endpoint.close()
    namespace.delete("instance", "provided", "--wait=false")
    namespace.delete("providers", "--all")


def condition(namespace: Namespace, kind: str, name: str, of_type: str) -> Object:
    conditions = namespace.status(kind, name).get("conditions") or []
    found: Object = next((each for each in conditions if each["type"] == of_type), {})
    return found


def answered(endpoint: Endpoint) -> str:
    answer = endpoint.chat()
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def test_an_agent_answers_with_its_providers_model(provided: Endpoint) -> None:
    assert answered(provided) == ANSWER
    assert condition(provided.namespace, "provider", "vendors", "Accepted")["status"] == "True"
    until(
        lambda: (
            condition(provided.namespace, "provider", "vendors", "Reachable").get("reason", "NotTried") != "NotTried"
        ),
        within=60,
        why=lambda: provided.namespace.status("provider", "vendors"),
    )
    shown = provided.namespace.kubectl("get", "providers")
    assert "anthropic_native" in shown
    assert "http://vendors:8080/v1" in shown


def test_a_provider_that_is_switched_off_is_a_503_until_it_is_back(provided: Endpoint) -> None:
    provided.namespace.patch("provider", "vendors", {"spec": {"enabled": False}})
    until(lambda: provided.chat().status_code == 503, within=30)
    until(
        lambda: condition(provided.namespace, "instance", "provided", "ModelReady").get("status") == "False", within=10
    )
    ready = condition(provided.namespace, "instance", "provided", "ModelReady")
    assert (ready["status"], ready["reason"]) == ("False", "ProviderDisabled")
    assert "vendors" in ready["message"]
    provided.namespace.patch("provider", "vendors", {"spec": {"enabled": True}})
    until(lambda: provided.chat().status_code == 200, within=30)
    assert answered(provided) == ANSWER


def test_a_key_that_changes_under_load_fails_no_run(provided: Endpoint) -> None:
    namespace = provided.namespace
    before = namespace.status("instance", "provided")["agentDocument"]
    with ThreadPoolExecutor(AT_ONCE) as callers:
        answers = [callers.submit(answered, provided) for _ in range(QUESTIONS)]
        namespace.apply(secret("sk-two"))
        until(lambda: namespace.status("instance", "provided")["agentDocument"] != before, within=60)
        answers += [callers.submit(answered, provided) for _ in range(QUESTIONS)]
        assert {answer.result() for answer in answers} == {ANSWER}


def test_a_fallback_answers_while_its_provider_is_gone(provided: Endpoint) -> None:
    namespace = provided.namespace
    namespace.kubectl("scale", "deployment/vendors", "--replicas=0")
    server = authority(namespace.get("service", "vendors")["spec"]["clusterIP"], 8080)
    until(lambda: not namespace.list("pods", "-l", "app=vendors"), within=60)
    until(lambda: not responds(f"http://{server}/healthz"), within=60)
    try:
        answer = provided.chat()
        assert answer.status_code == 200, answer.text
        run = namespace.get("run", answer.headers["x-sympozium-run"])
        assert run["status"]["model"] == "instant"
        failed, last = run["status"]["steps"][0], run["status"]["steps"][-1]
        assert (failed["name"], bool(failed["error"]), last["name"]) == ("vendors:claude-x", True, "spare:instant")
    finally:
        namespace.kubectl("scale", "deployment/vendors", "--replicas=1")
