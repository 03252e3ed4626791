"""NetworkPolicies tried with packets: tests/e2e/enforced_policies.py enforces them."""

from collections.abc import Callable, Iterator

import pytest
from tests.e2e.conftest import (
    Endpoint,
    Namespace,
    agent_run,
    authority,
    installed_with,
    instance,
    until,
)
from tests.e2e.enforced_policies import enforced, pod_of, ways
from tests.e2e.webhooks import Webhook, deployed


@pytest.fixture(scope="module")
def webhook(namespace: Namespace, webproxy_image: str) -> Webhook:
    return deployed(namespace, webproxy_image)


@pytest.fixture
def held(chat: Endpoint) -> Iterator[Callable[..., str]]:
    """Makes runs whose agents are at work for as long as the test takes; gives the pod's name."""
    namespace, made = chat.namespace, list[str]()

    def make(name: str, **spec: object) -> str:
        namespace.apply(agent_run(name, task="x", agentRef="chat", **{"model": {"model": "hang"}} | spec))
        made.append(name)
        until(lambda: namespace.status("run", name).get("phase") == "Running", within=30)
        found: str = pod_of(namespace, f"sympozium.ai/run={name}")["metadata"]["name"]
        return found

    yield make
    for name in made:
        namespace.patch("run", name, {"spec": {"cancel": True}})


def test_an_agent_reaches_its_model_and_its_web_proxy_and_nothing_else(
    chat: Endpoint, system: Namespace, webhook: Webhook, held: Callable[..., str]
) -> None:
    """The egress guard is reached, which calls tools; their webhooks are not."""
    namespace = chat.namespace
    agent = held("walled")
    model = pod_of(namespace, "app=model")
    operator = pod_of(system, "app.kubernetes.io/component=operator")["status"]["podIP"]
    proxy = pod_of(namespace, f"sympozium.ai/run={chat.run}")["status"]["podIP"]
    allowed = ["model:8080", f"{chat.run}-server:8081", f"{proxy}:8081", "sympozium-runs.sympozium-system.svc:8081"]
    allowed += ["sympozium-egress.sympozium-system.svc:8082", "sympozium-console.sympozium-system.svc:8081"]
    others = [
        authority(operator, 9090),
        "sympozium-console.sympozium-system.svc:8080",
        f"{chat.run}-server:8080",
        f"{webhook.host}:8080",
        authority(model["status"]["podIP"], 22),
        "1.1.1.1:443",
    ]

    assert ways(namespace, agent, *allowed, *others[:5]) == [*["open"] * 10, "refused"]
    with enforced(namespace):
        assert ways(namespace, agent, *allowed, *others) == [*["open"] * 6, *["closed"] * 6]


def test_nobody_reaches_an_agent_and_only_agents_reach_the_port_for_agents(
    chat: Endpoint, held: Callable[..., str]
) -> None:
    namespace = chat.namespace
    agent = pod_of(namespace, f"batch.kubernetes.io/job-name={held('deaf').rsplit('-', 1)[0]}")["status"]["podIP"]
    other = pod_of(namespace, "app=model")["metadata"]["name"]
    addresses = [f"{agent}:8080", f"{chat.run}-server:8081", f"{chat.run}-server:8080"]
    assert ways(namespace, other, *addresses) == ["refused", "open", "open"]
    with enforced(namespace):
        assert ways(namespace, other, *addresses) == ["closed", "closed", "open"]


def test_requests_and_runs_of_kubectl_are_answered_behind_closed_ways(chat: Endpoint, namespace: Namespace) -> None:
    elsewhere = f"http://{authority(pod_of(namespace, 'app=model')['status']['podIP'], 8080)}/v1"
    with enforced(namespace):
        assert chat.chat().status_code == 200
        namespace.apply(
            agent_run("walled-quiet", task="hello"),
            agent_run("walled-elsewhere", task="hello", agentRef="chat", model={"baseURL": elsewhere}),
        )
        for name in ("walled-quiet", "walled-elsewhere"):
            assert namespace.run_ends(name)["phase"] == "Succeeded"


def test_the_policy_follows_the_model_to_another_address(chat: Endpoint, held: Callable[..., str]) -> None:
    namespace = chat.namespace
    agent = held("follower")
    proxy = pod_of(namespace, f"sympozium.ai/run={chat.run}")["status"]["podIP"]
    address = f"{proxy}:8080"
    base_url = {"spec": {"agents": {"default": {"baseURL": f"http://{address}/v1"}}}}
    with enforced(namespace):
        assert ways(namespace, agent, address) == ["closed"]
        namespace.patch("instance", "chat", base_url)
        try:
            until(lambda: ways(namespace, agent, address) == ["open"], within=10)
        finally:
            namespace.patch("instance", "chat", {"spec": {"agents": {"default": {"baseURL": "http://model:8080/v1"}}}})
        until(lambda: ways(namespace, agent, address) == ["closed"], within=10)


@pytest.mark.alone
def test_policies_come_back_and_go_when_an_installation_wants_none(namespace: Namespace) -> None:
    namespace.apply(instance("fenced"))

    def policies() -> list[str]:
        found = namespace.list("networkpolicies", "-l", "sympozium.ai/instance=fenced")
        return sorted(policy["metadata"]["name"] for policy in found)

    both = ["fenced-agent", "fenced-agent-own-model"]
    until(lambda: policies() == both, within=10)
    namespace.delete("networkpolicy", "fenced-agent")
    namespace.patch("networkpolicy", "fenced-agent-own-model", {"spec": {"ingress": [{}]}})
    until(lambda: policies() == both, within=10)
    until(lambda: not namespace.get("networkpolicy", "fenced-agent-own-model")["spec"].get("ingress"), within=10)

    # Nothing is written once all is as it should be.
    version = namespace.get("networkpolicy", "fenced-agent")["metadata"]["resourceVersion"]
    namespace.patch("instance", "fenced", {"spec": {"maxConcurrentRuns": 3}})
    until(lambda: namespace.status("instance", "fenced")["observedGeneration"] == 2, within=10)
    assert namespace.get("networkpolicy", "fenced-agent")["metadata"]["resourceVersion"] == version

    with installed_with("networkPolicies.enabled=false"):
        until(lambda: not policies(), within=30)
    until(lambda: policies() == both, within=30)
    namespace.delete("instance", "fenced")
    until(lambda: not policies(), within=30)


FORMS = ("https://api.openai.com/v1", "http://10.0.0.1/v1", "http://[fd00::1]:8000/v1", "http://model.nowhere/v1")


@pytest.mark.parametrize("base_url", FORMS)
def test_the_api_server_takes_every_form_of_policy(namespace: Namespace, base_url: str) -> None:
    namespace.apply(instance("form", base_url=base_url, agent={"env": {"HTTPS_PROXY": "proxy:3128"}}))
    try:
        until(lambda: namespace.kubectl("get", "networkpolicy", "form-agent", "--ignore-not-found"), within=10)
    finally:
        namespace.delete("instance", "form")
        until(lambda: not namespace.kubectl("get", "networkpolicy", "form-agent", "--ignore-not-found"), within=30)
