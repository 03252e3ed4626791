"""Host names of the installation's own APIs: routes to the SympoziumConfig's gateway, on an API server in memory."""

import json
from typing import Any

import pytest
from tests.unit.operator.objects import (
    ACCEPTED,
    RESOLVED,
    SYSTEM,
    WEB_ENDPOINT,
    config_object,
    gateway_class_object,
    instance_object,
    pack_object,
    said,
)
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import CONFIGS, HTTP_ROUTES, INSTANCES, Object
from sympozium_api.settings_parser import InvalidSetting
from sympozium_operator.operator_settings import from_environment
from sympozium_operator.result import Key
from sympozium_operator.watches.gateway_api import _owner

ROUTE = "sympozium-console"
HOST = "console.example.com"


def surfaces(hostname: str = HOST) -> str:
    return json.dumps([{"service": ROUTE, "port": 8080, "hostname": hostname}])


def installed(hostname: str = HOST, **gateway: Any) -> World:
    return World(config_object(**gateway), gateway_class_object(), SYMPOZIUM_SURFACES=surfaces(hostname))


async def reconcile(world: World) -> Any:
    return await world.reconcile("default", "config", SYSTEM)


def condition(world: World) -> tuple[str, str]:
    """Status and reason of RoutesReady."""
    found = world.cluster.object(CONFIGS, "default", SYSTEM)["status"]["conditions"]
    return next(((c["status"], c["reason"]) for c in found if c["type"] == "RoutesReady"), ("", ""))


def route(world: World) -> Object:
    return world.cluster.object(HTTP_ROUTES, ROUTE, SYSTEM)


def configure(world: World, **gateway: Any) -> None:
    body = world.cluster.object(CONFIGS, "default", SYSTEM)
    world.cluster.put(body | {"spec": {"gateway": body["spec"]["gateway"] | gateway}})


def other_route(hostname: str) -> Object:
    parent = {"name": "sympozium", "namespace": SYSTEM}
    head = {"apiVersion": HTTP_ROUTES.api_version, "kind": "HTTPRoute", "metadata": {"name": "a", "namespace": "team"}}
    return head | {"spec": {"parentRefs": [parent], "hostnames": [hostname]}}


async def test_a_host_name_leads_from_the_gateway_to_the_service() -> None:
    world = installed()
    result = await reconcile(world)
    spec = route(world)["spec"]
    assert spec["hostnames"] == [HOST]
    assert spec["parentRefs"][0].items() >= {"name": "sympozium", "namespace": SYSTEM}.items()
    assert spec["rules"][1]["backendRefs"] == [{"group": "", "kind": "Service", "name": ROUTE, "port": 8080}]
    assert "backendRefs" not in spec["rules"][0]  # /metrics
    assert route(world)["metadata"]["ownerReferences"][0]["kind"] == "SympoziumConfig"
    assert condition(world) == ("False", "Starting")
    assert result.requeue_after is not None


async def test_the_condition_is_true_once_the_gateway_has_accepted_the_route() -> None:
    world = installed()
    await reconcile(world)
    body = route(world)
    parent = body["spec"]["parentRefs"][0]
    accepted = said(ACCEPTED, RESOLVED, generation=body["metadata"]["generation"])
    world.cluster.put(body | {"status": {"parents": [{"parentRef": parent, "controllerName": "c"} | accepted]}})
    await reconcile(world)
    assert condition(world) == ("True", "Routed")
    writes = len(world.cluster.writes)
    await reconcile(world)
    assert len(world.cluster.writes) == writes


async def test_with_tls_a_token_never_travels_in_the_clear() -> None:
    world = installed(tls={"enabled": True, "secretName": "wildcard"})
    await reconcile(world)
    assert route(world)["spec"]["parentRefs"][0]["sectionName"] == "https"


async def test_with_tls_a_name_that_the_certificate_does_not_cover_gets_no_route() -> None:
    world = installed("console.elsewhere.org")
    await reconcile(world)
    assert route(world)["spec"]["hostnames"] == ["console.elsewhere.org"]
    configure(world, tls={"enabled": True, "secretName": "wildcard"})
    await reconcile(world)
    assert world.cluster.names(HTTP_ROUTES) == []
    assert condition(world) == ("False", "HostnameNotCovered")


async def test_a_name_that_another_route_has_is_not_taken_and_an_instance_does_not_take_this_one() -> None:
    world = installed()
    world.cluster.put(other_route(HOST))
    await reconcile(world)
    assert world.cluster.names(HTTP_ROUTES) == ["a"]
    assert condition(world) == ("False", "HostnameTaken")
    world.cluster.remove(HTTP_ROUTES, "a", "team")
    await reconcile(world)
    assert route(world)["spec"]["hostnames"] == [HOST]

    world.cluster.put(pack_object())
    world.cluster.put(instance_object("console", **WEB_ENDPOINT))
    config = world.cluster.object(CONFIGS, "default", SYSTEM)
    world.cluster.put(config | {"status": config["status"] | {"gateway": {"ready": True}}})
    await world.settle("console", "instance")
    await world.reconcile("console", "instance")
    conditions = world.cluster.object(INSTANCES, "console", "team")["status"]["conditions"]
    assert [c["reason"] for c in conditions if c["type"] == "RouteReady"] == ["HostnameTaken"]


async def test_an_instance_that_was_first_gives_the_host_name_up() -> None:
    ready = config_object(status={"gateway": {"ready": True}})
    world = World(ready, gateway_class_object(), pack_object(), instance_object("console", **WEB_ENDPOINT))
    await world.settle("console", "instance")
    await world.reconcile("console", "instance")
    assert world.cluster.object(HTTP_ROUTES, "console-web-endpoint-server", "team")["spec"]["hostnames"] == [HOST]

    world.variables = {"SYMPOZIUM_SURFACES": surfaces()}
    world.restart()
    await world.reconcile("console", "instance")
    await reconcile(world)
    assert world.cluster.names(HTTP_ROUTES) == [ROUTE]
    conditions = world.cluster.object(INSTANCES, "console", "team")["status"]["conditions"]
    assert [c["reason"] for c in conditions if c["type"] == "RouteReady"] == ["HostnameTaken"]


@pytest.mark.parametrize("change", ["gateway", "hostname"])
async def test_the_route_goes_with_the_gateway_and_with_the_host_name(change: str) -> None:
    world = installed()
    await reconcile(world)
    if change == "gateway":
        configure(world, enabled=False)
    else:
        world.variables = {}
        world.restart()
    await reconcile(world)
    assert world.cluster.names(HTTP_ROUTES) == []
    assert condition(world) == ("", "")


async def test_another_host_name_replaces_the_first() -> None:
    world = installed()
    await reconcile(world)
    world.variables = {"SYMPOZIUM_SURFACES": surfaces("admin.example.com")}
    world.restart()
    await reconcile(world)
    assert route(world)["spec"]["hostnames"] == ["admin.example.com"]


async def test_without_the_gateway_api_the_condition_says_so() -> None:
    world = installed()
    world.cluster.absent.add(HTTP_ROUTES)
    await reconcile(world)
    assert condition(world) == ("False", "GatewayAPINotInstalled")


async def test_without_a_host_name_there_is_neither_route_nor_condition() -> None:
    world = World(config_object(), gateway_class_object())
    await reconcile(world)
    assert world.cluster.names(HTTP_ROUTES) == []
    assert condition(world) == ("", "")


def test_a_change_of_the_route_is_seen() -> None:
    assert _owner(SYSTEM, SYSTEM, ROUTE) == Key("config", SYSTEM, names.CONFIG)
    assert _owner(SYSTEM, "team", "alice-web-endpoint-server") == Key("instance", "team", "alice")
    assert _owner(SYSTEM, "team", ROUTE) is None


@pytest.mark.parametrize("text", ["{}", '[{"service":"a"}]', surfaces("not a name"), "[1]"])
def test_settings_that_name_no_host_are_refused(text: str) -> None:
    required = {"SYMPOZIUM_AGENT_IMAGE": "a", "SYMPOZIUM_NAMESPACE": SYSTEM}
    with pytest.raises(InvalidSetting, match="SYMPOZIUM_SURFACES"):
        from_environment(required | {"SYMPOZIUM_SURFACES": text})
