"""The API server takes what the API allows and refuses the rest with a sentence that says what would be right."""

import json
from typing import Any

import pytest
from tests.e2e.conftest import Namespace, Object, Refused, agent_run, instance


def without_spec(field: str) -> Object:
    found = instance("bad")
    del found["spec"][field]
    return found


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (instance("x" * 41), 'metadata.name: Invalid value: "object": metadata.name must be at most 40 characters'),
        (instance("1-digit"), "begin with a letter"),
        (without_spec("agents"), "spec.agents: Required value"),
        (instance("bad", base_url="model:8080"), "write a URL with http:// or https://"),
        (instance("bad", model=""), "spec.agents.default.model"),
        (instance("bad", agent={"runTimeout": "soon"}), "write hours, minutes and seconds, such as 90s, 5m or 1h30m"),
        (instance("bad", agent={"params": {"max_tokens": 9}, "maxTokens": 5}), "must be at most maxTokens"),
        (instance("bad", agent={"params": {"max_tokens": 1, "max_completion_tokens": 1}}), "set max_tokens or"),
        (instance("bad", agent={"runTimeout": "48h"}), "must be from 1s to 24h"),
        (instance("bad", skills=[{}]), "set exactly one of skillPackRef and configMapRef"),
        (instance("bad", skills=[{"skillPackRef": "a", "configMapRef": "b"}]), "set exactly one of skillPackRef"),
        (instance("bad", skills=[{"skillPackRef": "a"}] * 33), "must have at most 32 items"),
        (instance("bad", webEndpoint={"replicas": 0}), "spec.webEndpoint.replicas"),
        (instance("bad", webEndpoint={"autoscaling": {}}), "spec.webEndpoint.autoscaling.maxReplicas: Required"),
        (
            instance("bad", webEndpoint={"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}),
            "maxReplicas must be at least autoscaling.minReplicas",
        ),
        (
            instance("bad", webEndpoint={"replicas": 3, "autoscaling": {"maxReplicas": 2}}),
            "if that is not set, at least replicas",
        ),
        (
            instance("bad", webEndpoint={"oauth": {"issuer": "http://login", "audiences": ["a"]}}),
            "write an https:// URL",
        ),
        (instance("bad", webEndpoint={"oauth": {"issuer": "https://login"}}), "oauth.audiences: Required value"),
        (
            instance("bad", webEndpoint={"oauth": {"issuer": "https://login", "audiences": []}}),
            "webEndpoint.oauth.audiences",
        ),
        (instance("bad", webEndpoint={"allowedOrigins": ["*"]}), "spec.webEndpoint.allowedOrigins[0]"),
        (instance("bad", webEndpoint={"allowedOrigins": ["https://chat/"]}), "write scheme and host in lower case"),
        (instance("bad", memory={"systemPrompt": "x" * 65537}), "may not be more than 65536|Too long"),
        (agent_run("bad"), "exactly one of task, request and requestText"),
        (agent_run("bad", task="x", request={"messages": []}), "exactly one of task, request and requestText"),
        (agent_run("bad", task="x", requestText={"json": "{}"}), "exactly one of task, request and requestText"),
        (agent_run("bad", requestText={}), "exactly one of json, gzip and parts"),
        (agent_run("bad", requestText={"json": "{}", "gzip": "AA=="}), "exactly one of json, gzip and parts"),
        (agent_run("bad", requestText={"gzip": "AA=="}), "gzip and parts need bytes and sha256"),
        (agent_run("bad", requestText={"parts": 2}), "gzip and parts need bytes and sha256"),
        (agent_run("bad", requestText={"json": "{}", "sha256": "x"}), "spec.requestText.sha256"),
        (agent_run("bad", requestText={"json": "{}", "bytes": 2**24}), "spec.requestText.bytes"),
        (agent_run("bad", mode="server", task="x"), "none of task, request and requestText"),
        (agent_run("bad", mode="batch", task="x"), "spec.mode: Unsupported value"),
        (agent_run("bad.name", task="x"), "metadata.name must be"),
    ],
)
def test_a_bad_object_is_refused(namespace: Namespace, manifest: Object, message: str) -> None:
    with pytest.raises(Refused) as refusal:  # by the API server: kubectl's own validation is left out
        namespace.kubectl("create", "--validate=false", "-f-", stdin=json.dumps(manifest))
    assert any(part in str(refusal.value) for part in message.split("|")), refusal.value


@pytest.fixture(scope="module")
def run(namespace: Namespace) -> str:
    """A run that nobody answers: its instance does not exist."""
    namespace.apply(agent_run("fixed", task="x", agentRef="nobody", timeout="5m"))
    return "fixed"


@pytest.mark.parametrize(
    "spec",
    [
        {"task": "y"},
        {"timeout": "6m"},
        {"timeout": None},
        {"systemPrompt": "new"},
        {"agentRef": "other"},
        {"model": {"model": "m"}},
    ],
)
def test_the_spec_of_a_run_never_changes(namespace: Namespace, run: str, spec: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="spec is immutable except for cancel"):
        namespace.patch("run", run, {"spec": spec})


def test_a_request_never_changes_in_any_part(namespace: Namespace) -> None:
    request = {"messages": [{"role": "user", "content": "x"}], "extra": {"deep": [1, 2]}}
    namespace.apply(agent_run("asked", request=request, agentRef="nobody"))
    with pytest.raises(Refused, match="spec is immutable"):
        namespace.patch("run", "asked", {"spec": {"request": {"extra": {"deep": [1, 3]}}}})


def test_cancel_can_be_set_and_not_taken_back(namespace: Namespace) -> None:
    namespace.apply(agent_run("cancelled", task="x", agentRef="nobody"))
    namespace.patch("run", "cancelled", {"spec": {"cancel": True}})
    for cancel in (False, None):
        with pytest.raises(Refused, match="cancel cannot be set back to false"):
            namespace.patch("run", "cancelled", {"spec": {"cancel": cancel}})


def test_runs_can_be_selected_by_phase_and_by_instance(namespace: Namespace, run: str) -> None:
    selector = ("--field-selector", "spec.agentRef=nobody,status.phase!=Succeeded")
    assert run in [found["metadata"]["name"] for found in namespace.list("runs", *selector)]


def test_fields_are_explained(namespace: Namespace) -> None:
    assert "True ends the run" in namespace.kubectl("explain", "run.spec.cancel")
