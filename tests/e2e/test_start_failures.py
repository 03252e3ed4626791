"""A pod that cannot start is an answer within a minute, with Kubernetes' own reason."""

from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Endpoint, Namespace, agent_run, installed_with, until

WITHIN = 60


def failed(namespace: Namespace, run: str) -> dict[str, object]:
    status = namespace.run_ends(run, within=WITHIN)
    assert (status["phase"], status["error"]["type"]) == ("Failed", "start_failed")
    error: dict[str, object] = status["error"]
    return error


def test_a_quota_that_refuses_the_pod(namespace: Namespace, chat: Endpoint) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    namespace.apply(quota)
    until(lambda: namespace.get("resourcequota", "none").get("status", {}).get("hard"), within=30)  # it is in force
    try:
        response = chat.chat()
    finally:
        namespace.delete("resourcequota", "none")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "start_failed"
    assert "exceeded quota: none" in response.json()["error"]["message"]
    assert failed(namespace, response.headers["x-sympozium-run"])["httpStatus"] == 503


@pytest.mark.alone
def test_an_image_that_cannot_be_pulled(namespace: Namespace) -> None:
    with installed_with("agent.image=localhost:1/nothing:here"):
        namespace.apply(agent_run("imageless", task="hello"))
        error = failed(namespace, "imageless")
    assert "localhost:1/nothing" in str(error["message"])
    assert error["httpStatus"] == 502


@pytest.fixture(scope="module")
def huge_and_impatient() -> Iterator[None]:
    """An installation whose pods no node can hold, and whose runs wait for twelve seconds."""
    huge = ("agent.resources.requests.cpu=1000", "agent.resources.limits.cpu=1000")
    with installed_with(*huge, "runs.queueTimeout=12s"):
        yield


@pytest.mark.alone
@pytest.mark.usefixtures("huge_and_impatient")
def test_a_pod_that_no_node_could_ever_hold(namespace: Namespace) -> None:
    namespace.apply(agent_run("huge", task="hello"))
    error = failed(namespace, "huge")
    assert "no node is large enough" in str(error["message"])
    assert error["httpStatus"] == 503


@pytest.mark.alone
@pytest.mark.usefixtures("huge_and_impatient")
def test_a_run_whose_instance_never_comes(namespace: Namespace) -> None:
    namespace.apply(agent_run("orphan", task="hello", agentRef="never"))
    assert namespace.run_ends("orphan", within=30)["error"]["type"] == "instance_missing"
