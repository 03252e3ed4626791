"""SympoziumConfig and routes, on an API server in memory."""

import asyncio
from typing import Any

import pytest
from tests.unit.operator.objects import (
    ACCEPTED,
    NAMESPACE,
    RESOLVED,
    SYSTEM,
    WEB_ENDPOINT,
    config_object,
    gateway_class_object,
    gateway_status,
    instance_object,
    metadata,
    pack_object,
    ready_gateway,
    said,
)
from tests.unit.operator.operator_world import World

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import CONFIGS, GATEWAYS, HTTP_ROUTES, INSTANCES
from sympozium_operator.result import Key

ROUTE = "alice-web-endpoint-server"
SERVICE_URL = f"http://{ROUTE}.{NAMESPACE}.svc:8080"
TLS = {"enabled": True, "secretName": "wildcard"}


@pytest.fixture
def world() -> World:
    return World(instance_object(**WEB_ENDPOINT), pack_object(), config_object(), gateway_class_object())


async def look_at_config(world: World) -> Any:
    return await world.reconcile("default", "config", SYSTEM)


async def gateway_is_ready(world: World) -> None:
    """The gateway's controller does its work, and the operator sees it."""
    await look_at_config(world)
    world.cluster.put(ready_gateway(world.cluster.object(GATEWAYS, "sympozium", SYSTEM)))
    await look_at_config(world)


async def route_is_accepted(world: World, *conditions: tuple[str, str, str], namespace: str = NAMESPACE) -> None:
    body = world.cluster.object(HTTP_ROUTES, ROUTE, namespace)
    [parent] = body["spec"]["parentRefs"]
    found = said(*(conditions or (ACCEPTED, RESOLVED)), generation=body["metadata"]["generation"])
    world.cluster.put(body | {"status": {"parents": [{"parentRef": parent, "controllerName": "c"} | found]}})
    await world.reconcile("alice", "instance", namespace)


async def routed(world: World) -> None:
    await gateway_is_ready(world)
    await world.settle("alice", "instance")
    await world.reconcile("alice", "instance")
    await route_is_accepted(world)


def configure(world: World, **gateway: Any) -> None:
    body = world.cluster.object(CONFIGS, "default", SYSTEM)
    world.cluster.put(body | {"spec": {"gateway": body["spec"]["gateway"] | gateway}})


def edit_instance(world: World, **spec: Any) -> None:
    body = world.cluster.object(INSTANCES, "alice", NAMESPACE)
    world.cluster.put(body | {"spec": body["spec"] | spec})


def web(world: World) -> tuple[bool, str]:
    found = world.instance_status()["webEndpoint"]
    return found["gatewayReady"], found["url"]


def reason(world: World, name: str = "alice", namespace: str = NAMESPACE) -> str:
    conditions = world.cluster.object(INSTANCES, name, namespace)["status"]["conditions"]
    return next((c["reason"] for c in conditions if c["type"] == "RouteReady"), "")


def hostnames(world: World, namespace: str = NAMESPACE) -> list[str]:
    found: list[str] = world.cluster.object(HTTP_ROUTES, ROUTE, namespace)["spec"]["hostnames"]
    return found


def warnings(world: World) -> list[str]:
    return [reason for kind, reason, _ in world.events() if kind == "Warning"]


async def test_a_config_leads_to_a_gateway_and_looks_at_its_instances_when_it_is_ready(world: World) -> None:
    first = await look_at_config(world)
    assert world.cluster.object(CONFIGS, "default", SYSTEM)["status"]["phase"] == "Pending"
    assert first.spread == (Key("instance", NAMESPACE, "alice"),)
    assert (await look_at_config(world)).spread == ()
    [owner] = world.cluster.object(GATEWAYS, "sympozium", SYSTEM)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("SympoziumConfig", "default")

    world.cluster.put(world.cluster.object(GATEWAYS, "sympozium", SYSTEM) | {"status": gateway_status()})
    assert (await look_at_config(world)).spread == (Key("instance", NAMESPACE, "alice"),)
    status = world.cluster.object(CONFIGS, "default", SYSTEM)["status"]
    assert (status["phase"], status["gateway"]["address"]) == ("Ready", "192.0.2.7")


async def test_a_route_is_made_when_the_gateway_is_ready_and_shown_when_it_is_accepted(world: World) -> None:
    await look_at_config(world)
    await world.settle("alice", "instance")
    assert reason(world) == "GatewayNotReady"
    assert world.cluster.names(HTTP_ROUTES) == []

    await gateway_is_ready(world)
    await world.reconcile("alice", "instance")
    assert hostnames(world) == ["alice.example.com"]
    assert world.cluster.object(HTTP_ROUTES, ROUTE, NAMESPACE)["metadata"]["ownerReferences"][0]["kind"] == "AgentRun"
    assert (reason(world), web(world)) == ("Starting", (False, SERVICE_URL))

    await route_is_accepted(world)
    assert (reason(world), web(world)) == ("Routed", (True, "http://alice.example.com"))
    assert warnings(world) == []


async def test_nothing_is_written_when_nothing_changed(world: World) -> None:
    await routed(world)
    world.writes()
    world.clock.advance(3600)
    for _ in range(3):
        await look_at_config(world)
        await world.settle("alice", "instance")
    assert world.writes() == []


async def test_what_was_said_of_an_older_route_does_not_count(world: World) -> None:
    await routed(world)
    edit_instance(world, webEndpoint={"hostname": "bot.example.org"})
    await world.reconcile("alice", "instance")
    assert hostnames(world) == ["bot.example.org"]
    assert (reason(world), web(world)) == ("Starting", (False, SERVICE_URL))
    await route_is_accepted(world)
    assert web(world) == (True, "http://bot.example.org")


async def test_what_the_gateway_refuses_is_reported_with_its_own_reason(world: World) -> None:
    await routed(world)
    await route_is_accepted(world, ("Accepted", "False", "NotAllowedByListeners"))
    assert (reason(world), web(world)) == ("NotAllowedByListeners", (False, SERVICE_URL))
    assert warnings(world) == ["NotAllowedByListeners"]
    await route_is_accepted(world, ACCEPTED, ("ResolvedRefs", "False", "BackendNotFound"))
    assert reason(world) == "BackendNotFound"


async def test_a_route_outlasts_a_gateway_that_is_not_ready_for_a_while(world: World) -> None:
    await routed(world)
    world.cluster.put(world.cluster.object(GATEWAYS, "sympozium", SYSTEM) | {"status": said(ACCEPTED)})
    await look_at_config(world)
    await world.reconcile("alice", "instance")
    assert (reason(world), web(world)) == ("GatewayNotReady", (False, SERVICE_URL))
    assert hostnames(world) == ["alice.example.com"]


async def test_a_route_follows_the_config(world: World) -> None:
    await routed(world)
    configure(world, baseDomain="example.net", name="edge", tls=TLS)
    assert (await look_at_config(world)).spread == (Key("instance", NAMESPACE, "alice"),)
    assert world.cluster.names(GATEWAYS) == ["edge"]
    await world.reconcile("alice", "instance")
    assert hostnames(world) == ["alice.example.net"]
    [parent] = world.cluster.object(HTTP_ROUTES, ROUTE, NAMESPACE)["spec"]["parentRefs"]
    assert (parent["name"], parent["sectionName"]) == ("edge", "https")


@pytest.mark.parametrize("how", ["disabled", "deleted"])
async def test_without_a_gateway_there_is_no_route(world: World, how: str) -> None:
    await routed(world)
    if how == "disabled":
        configure(world, enabled=False)
    else:
        world.cluster.remove(CONFIGS, "default", SYSTEM)
    assert (await look_at_config(world)).spread == (Key("instance", NAMESPACE, "alice"),)
    await world.reconcile("alice", "instance")
    assert world.cluster.names(GATEWAYS) == []
    assert world.cluster.names(HTTP_ROUTES) == []
    assert (reason(world), web(world)) == ("", (False, SERVICE_URL))


async def test_a_route_goes_with_the_web_endpoint(world: World) -> None:
    await routed(world)
    edit_instance(world, skills=[])
    await world.settle("alice", "instance")
    assert world.cluster.names(HTTP_ROUTES) == []
    assert world.instance_status()["webEndpoint"] == {"enabled": False, "gatewayReady": False}
    assert reason(world) == ""


async def test_a_host_name_that_is_none_leaves_the_route_that_was(world: World) -> None:
    await routed(world)
    edit_instance(world, webEndpoint={"hostname": "not_a_name"})
    await world.settle("alice", "instance")
    assert world.instance_status()["phase"] == "Error"
    assert "spec.webEndpoint.hostname" in str(world.instance_status()["conditions"])
    assert web(world) == (True, "http://alice.example.com")
    assert hostnames(world) == ["alice.example.com"]


@pytest.mark.parametrize("tls", [{"enabled": False}, TLS])
async def test_a_domain_that_is_none_leaves_the_route_that_was(world: World, tls: dict[str, Any]) -> None:
    configure(world, tls=tls)
    await routed(world)
    configure(world, baseDomain="not_a_domain")
    await look_at_config(world)
    await world.reconcile("alice", "instance")
    assert hostnames(world) == ["alice.example.com"]


async def test_a_name_that_is_not_covered_is_reported_whether_the_gateway_is_ready_or_not(world: World) -> None:
    await routed(world)
    configure(world, tls=TLS)
    edit_instance(world, webEndpoint={"hostname": "alice.example.org"})
    await look_at_config(world)
    for _ in range(2):  # the route is there; it is gone
        await world.reconcile("alice", "instance")
        assert reason(world) == "HostnameNotCovered"
    assert warnings(world) == ["HostnameNotCovered"]


async def test_with_tls_only_names_under_the_certificates_domain_are_routed(world: World) -> None:
    configure(world, tls=TLS)
    await gateway_is_ready(world)
    for hostname in ("alice.example.org", "a.b.example.com", "example.com"):
        edit_instance(world, webEndpoint={"hostname": hostname})
        await world.settle("alice", "instance")
        assert reason(world) == "HostnameNotCovered"
        assert world.cluster.names(HTTP_ROUTES) == []
    edit_instance(world, webEndpoint={"hostname": "bot.example.com"})
    await world.settle("alice", "instance")
    await route_is_accepted(world)
    assert web(world) == (True, "https://bot.example.com")


@pytest.mark.parametrize("change", [{"hostnames": ["x.test"]}, {"parentRefs": []}, {"rules": []}, None])
async def test_a_route_that_was_edited_or_deleted_comes_back(world: World, change: Any) -> None:
    await routed(world)
    before = world.cluster.object(HTTP_ROUTES, ROUTE, NAMESPACE)["spec"]
    if change is None:
        world.cluster.remove(HTTP_ROUTES, ROUTE, NAMESPACE)
    else:
        world.cluster.put(world.cluster.object(HTTP_ROUTES, ROUTE, NAMESPACE) | {"spec": before | change})
    await world.reconcile("alice", "instance")
    assert world.cluster.object(HTTP_ROUTES, ROUTE, NAMESPACE)["spec"] == before


class TestOneHostNameForTwo:
    OTHER = "other-team"

    @pytest.fixture
    def two(self, world: World) -> World:
        """The same instance in another namespace, with its server run."""
        body = instance_object(**WEB_ENDPOINT)
        body["metadata"] |= {"namespace": self.OTHER, "uid": "uid-of-the-other"}
        world.cluster.put(body)
        return world

    async def both(self, world: World) -> None:
        await asyncio.gather(*(world.reconcile("alice", "instance", place) for place in (NAMESPACE, self.OTHER)))

    async def test_the_first_has_it_and_the_other_is_reported(self, two: World) -> None:
        await gateway_is_ready(two)
        await self.both(two)
        await self.both(two)
        assert hostnames(two) == ["alice.example.com"]
        assert (HTTP_ROUTES.plural, self.OTHER, ROUTE) not in two.cluster.objects
        assert (reason(two), reason(two, namespace=self.OTHER)) == ("Starting", "HostnameTaken")
        assert warnings(two) == ["HostnameTaken"]
        assert (await two.reconcile("alice", "instance", self.OTHER)).requeue_after is None
        assert two.operator.hostnames.waiting() == {Key("instance", self.OTHER, "alice")}

    async def test_when_it_is_free_the_other_gets_it(self, two: World) -> None:
        await gateway_is_ready(two)
        await self.both(two)
        await self.both(two)
        two.cluster.remove(INSTANCES, "alice", NAMESPACE)
        await two.reconcile("alice", "instance", self.OTHER)
        await route_is_accepted(two, namespace=self.OTHER)
        assert hostnames(two, self.OTHER) == ["alice.example.com"]
        assert reason(two, namespace=self.OTHER) == "Routed"

    async def test_nobody_takes_it_from_who_has_it_by_being_older(self, two: World) -> None:
        await routed(two)
        body = two.cluster.object(INSTANCES, "alice", self.OTHER)
        body["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
        await self.both(two)
        await self.both(two)
        assert reason(two, namespace=self.OTHER) == "HostnameTaken"
        assert web(two)[0]

    async def test_two_of_one_namespace_are_no_exception(self, two: World) -> None:
        await routed(two)
        two.cluster.put(instance_object("bob", webEndpoint={"enabled": True, "hostname": "alice.example.com"}))
        await two.settle("bob", "instance")
        await two.reconcile("bob", "instance")
        assert reason(two, "bob") == "HostnameTaken"

    @pytest.mark.parametrize(
        ("gateway", "namespace", "why"),
        [("sympozium", SYSTEM, "HostnameTaken"), ("another", SYSTEM, "Starting"), ("sympozium", None, "Starting")],
    )
    async def test_a_route_of_somebody_else_counts_if_it_is_at_the_same_gateway(
        self, world: World, gateway: str, namespace: str | None, why: str
    ) -> None:
        parent = {"name": gateway} | ({"namespace": namespace} if namespace else {})
        world.cluster.put(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": metadata("by-hand", namespace="elsewhere"),
                "spec": {"parentRefs": [parent], "hostnames": ["alice.example.com"]},
            }
        )
        await gateway_is_ready(world)
        await world.settle("alice", "instance")
        await world.reconcile("alice", "instance")
        assert reason(world) == why


async def test_where_the_gateway_api_is_not_installed_only_the_config_says_so(world: World) -> None:
    world.cluster.absent |= {GATEWAYS, HTTP_ROUTES}
    assert (await look_at_config(world)).requeue_after == 5
    [ready] = [
        c
        for c in world.cluster.object(CONFIGS, "default", SYSTEM)["status"]["conditions"]
        if c["type"] == "GatewayReady"
    ]
    assert ready["reason"] == "GatewayAPINotInstalled"
    await world.settle("alice", "instance")
    assert web(world) == (False, SERVICE_URL)

    world.cluster.absent.clear()
    await routed(world)
    assert web(world) == (True, "http://alice.example.com")


async def test_a_gateway_api_that_is_removed_takes_nothing_else_with_it(world: World) -> None:
    await routed(world)
    world.cluster.remove(GATEWAYS, "sympozium", SYSTEM)
    world.cluster.remove(HTTP_ROUTES, ROUTE, NAMESPACE)
    world.cluster.absent |= {GATEWAYS, HTTP_ROUTES}
    await world.settle("alice", "instance")  # before the config knows
    assert (reason(world), web(world)) == ("GatewayNotReady", (False, SERVICE_URL))
    await look_at_config(world)
    await world.settle("alice", "instance")
    assert (reason(world), web(world)) == ("GatewayNotReady", (False, SERVICE_URL))


async def test_an_installation_without_a_config_asks_for_no_route(world: World) -> None:
    world.cluster.remove(CONFIGS, "default", SYSTEM)
    world.cluster.absent |= {GATEWAYS, HTTP_ROUTES}
    await world.settle("alice", "instance")
    assert reason(world) == ""
    assert web(world) == (False, SERVICE_URL)


async def test_an_api_server_that_is_away_is_no_missing_gateway_api(world: World) -> None:
    world.cluster.refuse("list", GATEWAYS, ApiUnavailable("away"))
    with pytest.raises(ApiUnavailable):
        await look_at_config(world)
    assert world.cluster.object(CONFIGS, "default", SYSTEM)["status"] == {}
