"""AgentRuns made by kubectl, for an instance that has no web endpoint."""

import json

import pytest
from tests.e2e.conftest import Namespace, Refused, agent_run, instance, until


def test_a_run_is_answered_without_any_web_proxy(namespace: Namespace) -> None:
    namespace.apply(agent_run("by-hand", task="hello"))
    status = namespace.run_ends("by-hand")
    assert (status["phase"], status["result"]) == ("Succeeded", "Hello from the fake model.")
    assert status["tokenUsage"]["outputTokens"] == 3
    columns = namespace.kubectl("get", "runs", "by-hand").split()
    assert columns[-8:-2] == ["task", "quiet", "Succeeded", "cold", "instant", "10"]
    assert "by-hand" in namespace.kubectl("get", "runs", "--field-selector", "spec.mode=task")
    for end in ("condition=Complete", "jsonpath={.status.completedAt}"):
        namespace.kubectl("wait", "run/by-hand", f"--for={end}", "--timeout=4m")


def test_a_whole_request_can_be_asked(namespace: Namespace) -> None:
    request = {"messages": [{"role": "user", "content": "hello"}], "n": 2}
    namespace.apply(agent_run("whole", request=request))
    status = namespace.run_ends("whole")
    assert len(json.loads(status["answer"]["json"])["choices"]) == 2


def test_it_waits_for_its_instance(namespace: Namespace) -> None:
    namespace.apply(agent_run("early", task="hello", agentRef="later", model={"baseURL": "http://model:8080/v1"}))
    until(lambda: "InstanceNotFound" in str(namespace.status("run", "early")), within=10)
    namespace.apply(instance("later"))
    assert namespace.run_ends("early")["phase"] == "Succeeded"


def test_its_timeout_ends_it(namespace: Namespace) -> None:
    namespace.apply(agent_run("slow", task="hello", timeout="3s", model={"model": "hang"}))
    status = namespace.run_ends("slow", within=30)
    assert (status["phase"], status["error"]["type"], status["error"]["httpStatus"]) == ("Failed", "timeout", 504)


def test_cancel_ends_it(namespace: Namespace) -> None:
    namespace.apply(agent_run("unwanted", task="hello", model={"model": "hang"}))
    until(lambda: namespace.status("run", "unwanted").get("phase") == "Running", within=30)
    namespace.patch("run", "unwanted", {"spec": {"cancel": True}})
    assert namespace.run_ends("unwanted", within=10)["phase"] == "Cancelled"
    until(lambda: not namespace.list("pods", "-l", "sympozium.ai/run=unwanted"), within=15)


def test_a_missing_model_secret_fails_it_with_the_secrets_name(namespace: Namespace) -> None:
    namespace.apply(agent_run("keyless", task="hello", model={"authSecretRef": "nowhere"}))
    error = namespace.run_ends("keyless", within=30)["error"]
    assert "nowhere" in error["message"]
    assert error["httpStatus"] == 503


def test_its_models_error_keeps_its_status(namespace: Namespace) -> None:
    namespace.apply(agent_run("refused-by-its-model", task="hello", model={"model": "status:429"}))
    error = namespace.run_ends("refused-by-its-model")["error"]
    assert (error["type"], error["httpStatus"]) == ("model_error", 429)


def test_a_terminal_status_cannot_be_changed_by_anyone(namespace: Namespace) -> None:
    namespace.apply(agent_run("final", task="hello"))
    namespace.run_ends("final")
    for patch in ('{"status":{"phase":"Running"}}', '{"status":{"result":"other"}}', '{"status":null}'):
        with pytest.raises(Refused, match=r"never changes|cannot be removed"):
            namespace.kubectl("patch", "run", "final", "--subresource=status", "--type=merge", "-p", patch)
