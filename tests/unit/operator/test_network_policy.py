"""NetworkPolicies: golden files for the whole, and tables for where an agent's model may be."""

from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.golden import matches
from tests.unit.operator.objects import (
    NAMESPACE,
    WEB_ENDPOINT,
    instance,
    instance_object,
    metadata,
    pack_object,
    server_run,
)
from tests.unit.operator.operator_world import World
from tests.unit.operator.web_proxy_objects import web_proxy_objects

from sympozium_api.resources import NETWORK_POLICIES, SERVICES
from sympozium_operator.desired.network_policy import Address, Egress, addresses, agent_policies, server_policy

Object = dict[str, Any]

EXTRA: Object = {"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}], "ports": [{"port": 3000}]}
VLLM: Object = {"selector": {"app": "vllm"}, "ports": [{"port": 80, "targetPort": 8000}], "clusterIP": "10.96.0.9"}


def service(name: str = "vllm", namespace: str = NAMESPACE, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, namespace=namespace),
        "spec": VLLM | spec,
    }


def model_rules(base_url: str, found: Object | None = None, *, readable: bool = True, **agent: Any) -> list[Object]:
    """The rules that are there for the model alone."""
    one = instance(model={"baseURL": base_url} | agent)
    services = {address: found for address in addresses(one) if found or not readable}
    policy, _ = agent_policies(one, Egress("sys"), services)
    rules: list[Object] = policy["spec"]["egress"]
    return rules[2:]


def server_policies() -> list[Object]:
    [deployment, _] = web_proxy_objects(sidecar={"ports": [{"name": "debug", "containerPort": 9000}]})
    return [server_policy(server_run(), deployment)]


@pytest.mark.parametrize(
    ("scenario", "made"),
    [
        ("network-of-agents", agent_policies(instance(model={"baseURL": None}), Egress("sympozium-system"), {})),
        (
            "network-of-agents-with-everything",
            agent_policies(
                instance(model={"baseURL": "http://vllm/v1", "env": {"HTTPS_PROXY": "10.0.0.1:3128"}}),
                Egress("sympozium-system", (EXTRA,)),
                {Address("vllm", 80): service()},
            ),
        ),
        ("network-of-web-proxy", server_policies()),
    ],
)
def test_policies_are_as_reviewed(scenario: str, made: list[Object]) -> None:
    assert matches(scenario, *made)


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("vllm", (NAMESPACE, "vllm")),
        ("vllm.models", ("models", "vllm")),
        ("vllm.models.svc", ("models", "vllm")),
        ("vllm.models.svc.cluster.local", ("models", "vllm")),
        ("vllm.models.svc.corp.example", ("models", "vllm")),
        ("vllm-0.vllm.models.svc.cluster.local", ("models", "vllm")),
        ("api.openai.com", None),
        ("10.0.0.1", None),
        ("fd00::1", None),
        ("under_score", None),
        ("bücher", None),
    ],
)
def test_which_service_a_host_may_be(host: str, place: tuple[str, str] | None) -> None:
    assert Address(host, 80).service(NAMESPACE) == place


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        ({"baseURL": None}, [("api.openai.com", 443)]),
        ({"baseURL": "http://VLLM.models.svc./v1"}, [("vllm.models.svc", 80)]),
        ({"baseURL": "http://[fd00::1]:8000/v1"}, [("fd00::1", 8000)]),
        ({"baseURL": "http://model:99999/v1"}, []),
        ({"baseURL": "http://m", "env": {"https_proxy": "proxy:3128"}}, [("m", 80), ("proxy", 3128)]),
        ({"baseURL": "http://m", "env": {"ALL_PROXY": "socks5://proxy"}}, [("m", 80), ("proxy", 1080)]),
        ({"baseURL": "http://m", "env": {"HTTP_PROXY": "http://m", "NO_PROXY": "http://n"}}, [("m", 80)]),
        ({"baseURL": "http://m", "env": {"HTTP_PROXY": "nonsense://"}}, [("m", 80)]),
    ],
)
def test_what_agents_connect_to(agent: Object, found: list[tuple[str, int]]) -> None:
    assert [(address.host, address.port) for address in addresses(instance(model=agent))] == found


def pods(port: int | str, namespace: str = NAMESPACE) -> Object:
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": {"app": "vllm"}},
    }
    return {"to": [peer], "ports": [{"protocol": "TCP", "port": port}]}


@pytest.mark.parametrize(
    ("url", "spec", "rule"),
    [
        ("http://vllm/v1", {}, pods(8000)),
        ("http://vllm.models.svc/v1", {}, pods(8000, "models")),
        ("http://vllm/v1", {"ports": [{"port": 80, "targetPort": "api"}]}, pods("api")),
        ("http://vllm/v1", {"ports": [{"port": 80}]}, pods(80)),
        ("http://vllm:8000/v1", {}, pods(8000)),
        ("http://vllm:8000/v1", {"clusterIP": "None"}, pods(8000)),
    ],
)
def test_a_service_is_reached_at_its_pods(url: str, spec: Object, rule: Object) -> None:
    assert model_rules(url, service(**spec)) == [rule]


@pytest.mark.parametrize(
    ("url", "spec", "port"),
    [
        ("https://api.example.com/v1", None, 443),
        ("http://vllm:8000/v1", None, 8000),
        ("http://vllm/v1", {"type": "ExternalName", "selector": None}, 80),
        ("http://vllm/v1", {"selector": None}, 8000),
        ("http://vllm/v1", {"selector": None, "ports": [{"port": 80, "targetPort": "api"}]}, None),
    ],
)
def test_what_nobody_can_select_is_any_address_on_the_port_but_the_nodes_own(
    url: str, spec: Object | None, port: int | None
) -> None:
    [rule] = model_rules(url, None if spec is None else service(**spec))
    assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == ["0.0.0.0/0", "::/0"]
    assert rule["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]
    assert rule.get("ports") == (None if port is None else [{"protocol": "TCP", "port": port}])


def test_an_ip_address_is_that_address_alone() -> None:
    for url, cidr in (("http://10.0.0.1:8000", "10.0.0.1/32"), ("http://[fd00::1]:8000", "fd00::1/128")):
        assert model_rules(url) == [{"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"protocol": "TCP", "port": 8000}]}]


async def made(*objects: Object, base_url: str = "http://vllm/v1") -> list[Object]:
    world = World(instance_object(model={"baseURL": base_url}), *objects)
    await world.reconcile("alice", "instance")
    rules: list[Object] = world.cluster.object(NETWORK_POLICIES, "alice-agent", NAMESPACE)["spec"]["egress"]
    return rules[2:]


async def test_the_service_of_the_cluster_is_what_counts() -> None:
    assert await made(service()) == [pods(8000)]
    assert await made(service(namespace="models"), base_url="http://vllm.models/v1") == [pods(8000, "models")]
    assert [rule["to"][0]["ipBlock"]["cidr"] for rule in await made()] == ["0.0.0.0/0"]


async def test_a_service_that_may_not_be_read_is_every_pod_of_its_namespace_or_a_host_elsewhere() -> None:
    world = World(instance_object(model={"baseURL": "http://vllm.models/v1"}))
    world.cluster.refuse("get", SERVICES, api_error(403, "Forbidden"))
    await world.reconcile("alice", "instance")
    rules = world.cluster.object(NETWORK_POLICIES, "alice-agent", NAMESPACE)["spec"]["egress"][2:]
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "models"}}
    assert rules[0]["ports"] == [{"protocol": "TCP", "port": 80}]
    assert rules[1:] == [{"to": [{"namespaceSelector": selector}]}]


async def test_a_policy_that_was_opened_is_closed_again() -> None:
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    await world.settle("alice", "instance")
    names = ["alice-agent", "alice-agent-own-model", "alice-web-endpoint-server"]
    assert sorted(world.cluster.names(NETWORK_POLICIES)) == names
    for name in names:
        before = world.cluster.object(NETWORK_POLICIES, name, NAMESPACE)["spec"]
        selector = {"matchLabels": before["podSelector"]["matchLabels"] | {"none": "has-it"}}
        rules = {"ingress": [*before["ingress"], {}], "podSelector": selector}
        world.cluster.put({"kind": "NetworkPolicy", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": rules})
    await world.settle("alice", "instance")
    for name in names[:2]:
        assert not world.cluster.object(NETWORK_POLICIES, name, NAMESPACE)["spec"]["ingress"]
    assert {} not in world.cluster.object(NETWORK_POLICIES, names[2], NAMESPACE)["spec"]["ingress"]


async def test_switched_off_our_policies_go_and_others_stay() -> None:
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    await world.settle("alice", "instance")
    theirs = {"kind": "NetworkPolicy", "metadata": metadata("bob-agent"), "spec": {"podSelector": {}}}
    world.cluster.put(theirs)
    world.cluster.put(instance_object("bob"))
    world.restart(network_policies=False)
    await world.settle("alice", "instance")
    await world.settle("bob", "instance")
    assert world.cluster.names(NETWORK_POLICIES) == ["bob-agent"]


def test_a_users_rule_is_asked_for_as_the_api_server_stores_it() -> None:
    policy, _ = agent_policies(instance(), Egress("sys", (EXTRA, {"to": [], "ports": []})), {})
    assert policy["spec"]["egress"][-2:] == [EXTRA | {"ports": [{"protocol": "TCP", "port": 3000}]}, {}]


@pytest.mark.parametrize("base_url", ["https://api.example.com/v1", "https://93.184.215.14/v1", "http://vllm.svc/v1"])
def test_guarded_agents_reach_nothing_outside_the_cluster_but_the_guard(base_url: str) -> None:
    one = instance(model={"baseURL": base_url, "env": {"HTTPS_PROXY": "http://10.9.0.1:3128"}})
    policy, own = agent_policies(one, Egress("sys", has_guard=True, is_guarded=True), {})
    blocks = [peer["ipBlock"]["cidr"] for rule in policy["spec"]["egress"] for peer in rule["to"] if "ipBlock" in peer]
    assert blocks == ["169.254.20.10/32"]  # the node's cache of DNS
    assert own["spec"]["egress"] == [{"to": [{"namespaceSelector": {}}]}]
    ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 8081, 8082]


def test_guarded_agents_reach_a_model_in_the_cluster() -> None:
    one = instance(model={"baseURL": "http://vllm.models.svc/v1"})
    services = dict.fromkeys(addresses(one), service(namespace="models"))
    policy, _ = agent_policies(one, Egress("sys", has_guard=True, is_guarded=True), services)
    assert policy["spec"]["egress"][-1]["to"][0]["podSelector"] == {"matchLabels": {"app": "vllm"}}
