"""The Gateway and the routes that are made: golden files for the whole, and a test for each rule in them."""

from typing import Any

import pytest
from tests.unit.operator.golden import matches
from tests.unit.operator.objects import SYSTEM, config, server_run

from sympozium_operator.desired import gateway, http_route
from sympozium_operator.desired.http_route import RouteTarget

TLS: dict[str, Any] = {"enabled": True, "secretName": "wildcard"}
CHOSEN = {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}
EXPRESSION = {"key": "team", "operator": "In", "values": ["a", "b"]}


def made(**asked: Any) -> dict[str, Any]:
    return gateway.build(config(**asked))


@pytest.mark.parametrize(
    ("scenario", "asked"),
    [
        ("gateway", {}),
        ("gateway-with-everything", {"tls": TLS, "allowedRoutes": CHOSEN}),
    ],
)
def test_gateways_are_as_reviewed(scenario: str, asked: dict[str, Any]) -> None:
    assert matches(scenario, made(**asked))


@pytest.mark.parametrize("tls", [False, True])
def test_routes_are_as_reviewed(*, tls: bool) -> None:
    target = RouteTarget(SYSTEM, "sympozium", "alice.example.com", tls=tls)
    assert matches("route-with-tls" if tls else "route", http_route.build(server_run(), target))


def test_cert_manager_is_reported_by_an_annotation_and_a_secret_name_is_found_for_it() -> None:
    found = made(tls={"enabled": True, "certManagerClusterIssuer": "letsencrypt"})
    assert found["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}
    [_, https] = found["spec"]["listeners"]
    assert [ref["name"] for ref in https["tls"]["certificateRefs"]] == ["sympozium-tls"]


def test_a_secret_that_is_named_is_the_one_that_cert_manager_fills() -> None:
    [_, https] = made(tls=TLS | {"certManagerClusterIssuer": "letsencrypt"})["spec"]["listeners"]
    assert [ref["name"] for ref in https["tls"]["certificateRefs"]] == ["wildcard"]


def test_without_tls_an_issuer_is_of_no_use() -> None:
    found = made(tls={"enabled": False, "certManagerClusterIssuer": "letsencrypt"})
    assert "annotations" not in found["metadata"]
    assert len(found["spec"]["listeners"]) == 1


@pytest.mark.parametrize(
    ("asked", "namespaces"),
    [
        ({}, {"from": "All"}),
        ({"from": "Same"}, {"from": "Same"}),
        (CHOSEN, CHOSEN),
        (
            {"from": "Selector", "selector": {"matchExpressions": [EXPRESSION]}},
            {"from": "Selector", "selector": {"matchExpressions": [EXPRESSION]}},
        ),
    ],
)
def test_every_listener_takes_routes_from_the_same_namespaces(asked: Any, namespaces: Any) -> None:
    for listener in made(tls=TLS, allowedRoutes=asked)["spec"]["listeners"]:
        assert listener["allowedRoutes"] == {"namespaces": namespaces}


def test_a_route_refers_to_nothing_in_another_namespace_but_its_gateway() -> None:
    body = http_route.build(server_run(), RouteTarget(SYSTEM, "sympozium", "alice.example.com", tls=True))
    [_, rule] = body["spec"]["rules"]
    assert [set(ref) for ref in rule["backendRefs"]] == [{"group", "kind", "name", "port"}]
    assert [ref["namespace"] for ref in body["spec"]["parentRefs"]] == [SYSTEM]


def test_metrics_are_not_reached_from_outside() -> None:
    rules = http_route.build(server_run(), RouteTarget(SYSTEM, "sympozium", "alice.example.com", tls=True))["spec"][
        "rules"
    ]
    assert [rule["matches"][0]["path"]["value"] for rule in rules] == ["/metrics", "/"]
    assert "backendRefs" not in rules[0]
