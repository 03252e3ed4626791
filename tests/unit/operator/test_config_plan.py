"""Plan of a SympoziumConfig: its Gateway and its status."""

from typing import Any

import pytest
from tests.unit.operator.objects import (
    ACCEPTED,
    CREATED,
    NAMESPACE,
    PROGRAMMED,
    RESOLVED,
    SYSTEM,
    config,
    gateway_class_object,
    gateway_status,
    metadata,
    said,
)

from sympozium_operator.policy.conditions import merge_patch
from sympozium_operator.policy.config_plan import REQUEUE_SECONDS, ConfigInput, ConfigPlan, decide


def live(name: str = "sympozium", *, generation: int = 1, **status: Any) -> dict[str, Any]:
    owner = {"uid": "uid-of-default", "controller": True}
    head = metadata(name, namespace=SYSTEM, ownerReferences=[owner], generation=generation)
    return {"metadata": head, "status": status or gateway_status()}


CLASSES = (gateway_class_object(),)


def plan(*, gateways: Any = (), classes: Any = CLASSES, **asked: Any) -> ConfigPlan:
    return decide(ConfigInput(CREATED, config(**asked), SYSTEM, gateways, classes))


def reason(found: ConfigPlan, kind: str = "GatewayReady") -> tuple[str, str, str]:
    condition: dict[str, str] = next((c for c in found.status["conditions"] if c["type"] == kind), {})
    return condition.get("status", ""), condition.get("reason", ""), condition.get("message", "")


def test_a_gateway_that_routes_is_ready_with_its_address() -> None:
    found = plan(gateways=(live(),))
    assert found.gateway_wanted
    assert found.status["phase"] == "Ready"
    assert found.status["gateway"] == {"ready": True, "address": "192.0.2.7", "listenerCount": 1}
    assert reason(found)[:2] == ("True", "Programmed")
    assert found.requeue_after is None


def test_nothing_is_wanted_where_no_gateway_is_asked_for() -> None:
    found = plan(enabled=False, gateways=None)
    assert not found.gateway_wanted
    assert found.status["phase"] == "Ready"
    assert found.status["gateway"] == {"ready": False}
    assert reason(found) == ("", "", "")
    assert found.requeue_after is None


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"gateways": None}, "GatewayAPINotInstalled"),
        ({"classes": ()}, "GatewayClassNotFound"),
        ({"classes": (gateway_class_object(("Accepted", "False", "Unsupported")),)}, "GatewayClassNotAccepted"),
        ({"classes": (gateway_class_object(("Accepted", "Unknown", "Pending")),)}, "GatewayClassNotAccepted"),
        ({}, "Starting"),
        ({"gateways": (live(**said()),)}, "Starting"),
        ({"gateways": (live(**said(("Accepted", "Unknown", "Pending"))),)}, "Starting"),
        ({"gateways": (live(generation=2),)}, "Starting"),
        ({"gateways": (live(**said(("Accepted", "False", "InvalidParameters"))),)}, "InvalidParameters"),
        ({"gateways": (live(**said(ACCEPTED, ("Programmed", "False", "NoResources"))),)}, "NoResources"),
    ],
)
def test_a_gateway_that_does_not_route_says_why(seen: dict[str, Any], why: str) -> None:
    found = plan(**seen)
    assert reason(found)[:2] == ("False", why)
    assert found.status["phase"] == "Pending"
    assert found.status["gateway"]["ready"] is False
    assert found.requeue_after == REQUEUE_SECONDS


def test_a_listener_without_its_certificate_is_named() -> None:
    http = {"name": "http"} | said(ACCEPTED, RESOLVED, PROGRAMMED)
    https = {"name": "https"} | said(ACCEPTED, ("ResolvedRefs", "False", "InvalidCertificateRef"))
    found = plan(gateways=(live(**gateway_status(http, https)),))
    assert reason(found) == ("False", "InvalidCertificateRef", "Gateway sympozium, listener https: as it says")
    assert found.status["gateway"]["listenerCount"] == 2


def test_a_controller_that_says_little_of_its_listeners_is_believed() -> None:
    assert plan(gateways=(live(**gateway_status({"name": "http"})),)).status["gateway"]["ready"]


def test_an_operator_that_may_not_reconcile_classes_goes_by_what_the_gateway_says() -> None:
    assert plan(classes=None, gateways=(live(),)).status["gateway"]["ready"]


def test_without_the_gateway_api_nothing_is_made() -> None:
    assert not plan(gateways=None).gateway_wanted


@pytest.mark.parametrize("where", [{"name": "mine"}, {"namespace": NAMESPACE}])
def test_a_config_that_is_not_the_one_has_no_effect_and_says_so(where: dict[str, str]) -> None:
    found = plan(**where, gateways=(live("old"),))
    assert reason(found, "Accepted")[:2] == ("False", "NoEffect")
    assert SYSTEM in reason(found, "Accepted")[2]
    assert found.status["phase"] == "Error"
    assert not found.gateway_wanted
    assert found.surplus == ()


def test_a_domain_that_is_none_is_refused_and_the_gateway_stays() -> None:
    found = plan(baseDomain="example_com", gateways=(live(),))
    assert reason(found, "Accepted")[1] == "InvalidSpec"
    assert "spec.gateway.baseDomain" in reason(found, "Accepted")[2]
    assert found.surplus == ()
    assert found.status["gateway"]["ready"]


def test_only_its_own_gateways_of_another_name_are_surplus() -> None:
    foreign = {"metadata": metadata("foreign", namespace=SYSTEM)}
    found = plan(gateways=(live("old"), foreign, live()))
    assert [body["metadata"]["name"] for body in found.surplus] == ["old"]
    found = plan(enabled=False, gateways=(live("old"), foreign, live()))
    assert [body["metadata"]["name"] for body in found.surplus] == ["old", "sympozium"]


def test_what_is_said_already_is_not_written_again() -> None:
    before = plan(gateways=(live(),)).status
    again = decide(ConfigInput(CREATED, config(status=before), SYSTEM, (live(),), CLASSES))
    assert merge_patch(before, again.status) == {}


def test_switching_it_off_takes_back_what_was_said() -> None:
    before = plan(gateways=(live(),)).status
    found = decide(ConfigInput(CREATED, config(status=before, enabled=False), SYSTEM, (live(),), ()))
    assert merge_patch(before, found.status)["gateway"] == {"ready": False, "address": None, "listenerCount": None}
    assert reason(found) == ("", "", "")
