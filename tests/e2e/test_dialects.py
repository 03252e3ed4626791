"""One agent on a real cluster, on a Provider of each type in turn, with a tool, and a policy that denies another one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, instance, scripted_server, until
from tests.e2e.test_providers import provider, secret
from tests.e2e.test_tools import CITY, binding, tool
from tests.e2e.webhooks import Webhook, deployed
from tests.fakes import vendors
from tests.fakes.vendors import BASES

NAME = "in-dialects"
TURNS = [
    {"calls": [["c1", "weather", '{"city": "Oslo"}'], ["c2", "erase", "{}"]]},
    {"content": "It is sunny."},
]


def named(type_name: str) -> str:
    return type_name.replace("_", "-")


def policy() -> Object:
    spec = {
        "appliesTo": "all",
        "providers": {"allow": [named(each) for each in BASES]},
        "models": {"allow": ["*:turns"]},
        "tools": {"deny": ["erase"]},
    }
    return {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": "SympoziumPolicy",
        "metadata": {"name": "dialects"},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def webhook(namespace: Namespace, webproxy_image: str) -> Webhook:
    return deployed(namespace, webproxy_image)


@pytest.fixture(scope="module")
def tooled(namespace: Namespace, webhook: Webhook, webproxy_image: str) -> Iterator[Endpoint]:
    """An agent with two tools, of which the policy leaves one."""
    body = instance(NAME, model="turns", webEndpoint={"enabled": True})
    agent = body["spec"]["agents"]["default"]
    del agent["baseURL"]
    agent["providerRef"] = named("openai_compat")
    namespace.apply(
        *scripted_server("vendors", Path(vendors.__file__), webproxy_image),
        secret("sk-one"),
        *(provider(named(each), type=each, apiBase=f"http://vendors:8080{path}") for each, path in BASES.items()),
        *(tool("weather", f"{webhook.base}/weather", parameters=CITY), binding("weather", webhook.host, agentRef=NAME)),
        *(tool("erase", f"{webhook.base}/erase"), binding("erase", webhook.host, agentRef=NAME)),
        policy(),
        body,
    )
    namespace.kubectl("rollout", "status", "deployment/vendors", "--timeout=4m")
    endpoint = Endpoint(namespace, NAME).serves()
    namespace.kubectl("wait", "toolbinding/weather", "--for=condition=InForce", "--timeout=4m")
    yield endpoint
    endpoint.close()
    namespace.delete("instance", NAME, "--wait=false")
    for kind in ("tools", "providers", "sympoziumpolicies"):
        namespace.delete(kind, "--all")
    until(lambda: not namespace.list("toolbindings"), within=30)  # the operator deletes those of deleted Tools


def is_observed(body: Object) -> bool:
    observed: int = body["status"].get("observedGeneration", 0)
    generation: int = body["metadata"]["generation"]
    return observed == generation


def steps(endpoint: Endpoint) -> list[Object]:
    """The steps of a run that answered as the turns say."""
    answer = endpoint.chat(json.dumps(TURNS))
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "It is sunny."
    taken: list[Object] = endpoint.namespace.get("run", answer.headers["x-sympozium-run"])["status"]["steps"]
    return taken


@pytest.mark.parametrize("type_name", BASES)
def test_an_agent_calls_its_tool_and_answers_in_each_dialect(
    tooled: Endpoint, webhook: Webhook, type_name: str
) -> None:
    tooled.namespace.patch("instance", NAME, {"spec": {"agents": {"default": {"providerRef": named(type_name)}}}})
    until(lambda: is_observed(tooled.namespace.get("instance", NAME)), within=30)
    before = len(webhook.received("weather"))
    asked, *called, last = steps(tooled)
    assert (asked["name"], last["name"]) == (f"{named(type_name)}:turns",) * 2
    outcome = {step["name"]: bool(step.get("error")) for step in called}
    assert outcome == {"weather": False, "erase": True}, called
    [call] = webhook.received("weather")[before:]
    assert json.loads(call["body"]) == {"city": "Oslo"}
    assert webhook.received("erase") == []
