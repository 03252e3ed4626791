"""Conditions ModelReachable and IssuerReady of an instance, copied from its server run."""

from typing import Any

from tests.unit.operator.objects import WEB_ENDPOINT, instance, pack, server_run
from tests.unit.operator.test_instance_plan import condition, plan, reason, served

from sympozium_api.instance import SympoziumInstance
from sympozium_api.probes import Probe, issuer_target, model_target
from sympozium_api.run import AgentRun
from sympozium_operator.policy import event_messages
from sympozium_operator.policy.web_endpoint_pack import WebEndpointPack

ISSUER = "https://login.example.com/realms/house"
OAUTH: dict[str, Any] = {**WEB_ENDPOINT, "webEndpoint": {"oauth": {"issuer": ISSUER, "audiences": ["x"]}}}


def server(*, reachable: bool = False, base_url: str = "http://model.example.com/v1", **more: Any) -> AgentRun:
    """A serving server run whose web-proxy has checked the model."""
    result = Probe(
        target=model_target(base_url, "gpt-x", {}),
        reachable=reachable,
        reason="Answered" if reachable else "NameNotFound",
        message="m",
    )
    started = [
        {
            "type": kind,
            "status": "True",
            "reason": "R",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in ("Accepted", "Started")
    ]
    probes = {"model": result.model_dump(by_alias=True)} | more
    return server_run(status={"phase": "Serving", "conditions": started, "probes": probes})


def test_an_unreachable_model_is_told_and_blocks_nothing() -> None:
    found = served(server=server())
    assert reason(found, "ModelReachable") == ("False", "NameNotFound")
    assert condition(found, "ModelReachable")["observedGeneration"] == 1
    assert reason(found, "Ready") == ("True", "Serving")
    assert found.status["phase"] == "Serving"


def test_an_unreachable_model_is_a_warning_and_its_first_answer_is_none() -> None:
    for reachable, expected in ((False, ["NameNotFound"]), (True, [])):
        found = served(server=server(reachable=reachable))
        events = event_messages.of_instance(instance(**WEB_ENDPOINT), found.status)
        assert [event.reason for event in events if event.reason in ("NameNotFound", "Answered")] == expected


def test_the_result_for_an_earlier_address_is_no_condition() -> None:
    found = served(server=server(base_url="http://other/v1"))
    assert condition(found, "ModelReachable") == {}


def with_condition(**spec: Any) -> SympoziumInstance:
    old = {
        "type": "ModelReachable",
        "status": "False",
        "reason": "Timeout",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return instance(status={"conditions": [old]}, **spec)


def test_an_instance_without_an_endpoint_has_no_such_condition() -> None:
    assert condition(plan(instance=with_condition()), "ModelReachable") == {}


def test_switched_off_checks_leave_no_condition() -> None:
    built_in = pack()
    sidecar = built_in.spec.sidecar
    assert sidecar is not None
    off = sidecar.model_copy(update={"env": {"SYMPOZIUM_PROBE_INTERVAL": "0s"}})
    changed = built_in.model_copy(update={"spec": built_in.spec.model_copy(update={"sidecar": off})})
    found = served(instance=with_condition(**WEB_ENDPOINT), server=server(), pack=WebEndpointPack(changed))
    assert condition(found, "ModelReachable") == {}


def test_an_issuer_that_cannot_be_reached_is_told() -> None:
    result = {"target": issuer_target(ISSUER, None, None), "reachable": False, "reason": "Timeout", "message": "m"}
    found = served(instance=instance(**OAUTH), server=server(reachable=True, issuer=result))
    assert reason(found, "IssuerReady") == ("False", "Timeout")
    assert reason(found, "Ready") == ("True", "Serving")
    without = served(server=server(reachable=True, issuer=result))
    assert condition(without, "IssuerReady") == {}
