"""Plan of an instance: its children and its status."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.operator.objects import (
    CREATED,
    MCP_SERVERS,
    SYSTEM,
    WEB_ENDPOINT,
    at,
    instance,
    pack,
    secret_object,
    server_run,
)

from sympozium_operator.policy.conditions import merge_patch
from sympozium_operator.policy.instance_plan import InstanceInput, InstancePlan, decide
from sympozium_operator.policy.web_endpoint_pack import WebEndpointPack

KEYED: dict[str, Any] = {"authRefs": [{"provider": "openai", "secret": "keys"}]}


def plan(seconds: float = 0, **changes: Any) -> InstancePlan:
    return decide(InstanceInput(now=CREATED + timedelta(seconds=seconds), **({"instance": instance()} | changes)))


def served(**changes: Any) -> InstancePlan:
    facts: dict[str, Any] = {"instance": instance(**WEB_ENDPOINT), "server": server_run()}
    return plan(**(facts | {"pack": WebEndpointPack(pack())} | changes))


def condition(found: InstancePlan, kind: str) -> dict[str, Any]:
    return next((c for c in found.status["conditions"] if c["type"] == kind), {})


def reason(found: InstancePlan, kind: str) -> tuple[str, str]:
    entry = condition(found, kind)
    return entry["status"], entry["reason"]


def test_an_instance_without_a_web_endpoint_runs() -> None:
    found = plan()
    assert found.status["phase"] == "Running"
    assert found.status["observedGeneration"] == 1
    assert found.status["webEndpoint"] == {"enabled": False, "gatewayReady": False}
    assert found.server_wanted is False
    assert found.requeue_after is None
    assert condition(found, "WebEndpointReady") == {}


@pytest.mark.parametrize("spec", [WEB_ENDPOINT, {"webEndpoint": {"enabled": True}}])
def test_skill_and_field_both_switch_the_web_endpoint_on(spec: dict[str, Any]) -> None:
    found = served(instance=instance(**spec), server=None)
    assert found.server_wanted
    assert found.status["phase"] == "Pending"
    assert found.status["webEndpoint"] == {
        "enabled": True,
        "deploymentName": "alice-web-endpoint-server",
        "serviceName": "alice-web-endpoint-server",
        "gatewayReady": False,
        "authSecretName": "alice-web-endpoint-web-api-key",
        "url": "http://alice-web-endpoint-server.team.svc:8080",
    }


def test_an_instance_serves_when_its_server_run_does() -> None:
    found = served(server=server_run(status={"phase": "Serving"}))
    assert found.status["phase"] == "Serving"
    assert reason(found, "WebEndpointReady") == ("True", "Serving")


def test_the_web_endpoint_tells_the_servers_trouble() -> None:
    trouble = {
        "type": "Started",
        "status": "False",
        "reason": "ImagePullBackOff",
        "message": "no such image",
        "lastTransitionTime": at(0),
    }
    found = served(server=server_run(status={"phase": "Pending", "conditions": [trouble]}))
    assert reason(found, "WebEndpointReady") == ("False", "ImagePullBackOff")
    assert condition(found, "WebEndpointReady")["message"] == "no such image"
    assert found.status["phase"] == "Pending"


def test_own_api_keys_are_named_in_the_status() -> None:
    spec: dict[str, Any] = {"skills": [{"skillPackRef": "web-endpoint", "params": {"auth_secret_ref": "mine"}}]}
    assert served(instance=instance(**spec)).status["webEndpoint"]["authSecretName"] == "mine"


INVALID: dict[str, Any] = {"skills": [{"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "fast"}}]}


def test_an_invalid_spec_is_refused_with_the_field_and_leaves_what_ran() -> None:
    before = served(server=server_run(status={"phase": "Serving"})).status
    found = served(instance=instance(**INVALID, status=before), server=server_run(status={"phase": "Serving"}))
    assert found.server_wanted is None
    assert found.status["phase"] == "Error"
    assert reason(found, "Accepted") == ("False", "InvalidSpec")
    assert "spec.skills[0].params.rate_limit_rpm" in condition(found, "Accepted")["message"]
    assert found.status["webEndpoint"] == before["webEndpoint"]
    assert reason(found, "WebEndpointReady") == ("True", "Serving")


def test_what_this_version_cannot_do_is_refused() -> None:
    found = plan(instance=instance(mcpServers=MCP_SERVERS))
    assert reason(found, "Accepted") == ("False", "InvalidSpec")
    assert "spec.mcpServers" in condition(found, "Accepted")["message"]


def test_a_missing_skill_pack_is_named_and_looked_for_again() -> None:
    found = served(pack=WebEndpointPack())
    assert reason(found, "Accepted") == ("False", "SkillPackNotFound")
    assert found.server_wanted is None
    assert found.requeue_after == 5


def test_a_skill_pack_that_is_no_server_is_refused() -> None:
    found = served(pack=WebEndpointPack(pack(requiresServer=False)))
    assert reason(found, "Accepted") == ("False", "SkillPackHasNoServer")
    assert SYSTEM in condition(found, "Accepted")["message"]


def secret_of(key: str) -> Any:
    return secret_object("keys", "OPENAI_API_KEY", value=base64.b64encode(key.encode()).decode())


@pytest.mark.parametrize(
    ("secret", "status", "why"),
    [
        (None, "False", "SecretNotFound"),
        (secret_object("keys", "password"), "False", "SecretKeyNotFound"),
        (secret_object("keys", "OPENAI_API_KEY", value=""), "False", "SecretKeyEmpty"),
        (secret_of("  \t\n"), "False", "SecretKeyEmpty"),
        (secret_of("sk-one\nsk-two"), "False", "SecretKeyInvalid"),
        (secret_of("sk-\u00e9"), "False", "SecretKeyInvalid"),
        (secret_of("sk-one\r\n"), "True", "SecretFound"),
        (secret_object("keys", "OPENAI_API_KEY", value="/w=="), "False", "SecretKeyInvalid"),
        (secret_object("keys", "OPENAI_API_KEY"), "True", "SecretFound"),
        (secret_object("keys", "api-key"), "True", "SecretFound"),
    ],
)
def test_the_models_secret_is_checked(secret: Any, status: str, why: str) -> None:
    found = plan(instance=instance(**KEYED), secret=secret)
    assert reason(found, "ModelReady") == (status, why)
    assert found.requeue_after == (None if status == "True" else 5)
    assert found.status["phase"] == ("Running" if status == "True" else "Pending")
    assert "Secret keys" in condition(found, "ModelReady")["message"]
    assert "sk-" not in condition(found, "ModelReady")["message"]


def test_a_model_without_a_secret_needs_none() -> None:
    assert reason(plan(), "ModelReady") == ("True", "NoSecretNeeded")


@pytest.mark.parametrize("address", [None, "https://api.openai.com/v1", "https://api.openai.com/v1/"])
def test_openais_own_address_needs_a_secret_or_headers(address: str | None) -> None:
    agent: dict[str, Any] = {"model": "gpt-5-mini"} | ({"baseURL": address} if address else {})
    found = plan(instance=instance(agents={"default": agent}))
    assert reason(found, "ModelReady") == ("False", "SecretNeeded")
    assert "spec.authRefs" in condition(found, "ModelReady")["message"]
    keyed = agent | {"providerHeaders": {"Authorization": "Bearer sk"}}
    assert reason(plan(instance=instance(agents={"default": keyed})), "ModelReady") == ("True", "NoSecretNeeded")


def answering(generation: int = 1, **refused: str) -> Any:
    """A server run that answers, with the conditions of a generation of its instance; ``refused``: reasons of those that are False."""
    conditions = [
        {
            "type": kind,
            "status": "False" if kind in refused else "True",
            "reason": refused.get(kind, "Available"),
            "message": "as the server says",
            "observedGeneration": generation,
            "lastTransitionTime": at(0),
        }
        for kind in ("Accepted", "Started")
    ]
    return server_run(status={"phase": "Serving", "conditions": conditions})


@pytest.mark.parametrize(
    ("made", "status", "why"),
    [
        (plan(), "True", "Running"),
        (served(server=answering()), "True", "Serving"),
        (served(server=answering(0)), "False", "Starting"),
        (served(server=answering(Accepted="WriteRefused")), "False", "WriteRefused"),
        (served(server=answering(Started="ImagePullBackOff")), "False", "ImagePullBackOff"),
        (served(server=None), "False", "Starting"),
        (plan(instance=instance(mcpServers=MCP_SERVERS)), "False", "InvalidSpec"),
        (plan(instance=instance(**KEYED)), "False", "SecretNotFound"),
    ],
)
def test_ready_sums_up_the_conditions(made: InstancePlan, status: str, why: str) -> None:
    assert reason(made, "Ready") == (status, why)
    failed = next((c for c in made.status["conditions"] if c["type"] != "Ready" and c["status"] == "False"), None)
    assert condition(made, "Ready")["message"]
    assert failed is None or condition(made, "Ready")["message"] == failed["message"]


@pytest.mark.parametrize(
    ("made", "settled"),
    [
        (plan(), True),
        (served(server=answering()), True),
        (served(server=None), False),
        (served(server=answering(0)), False),
        (served(server=answering(Started="ImagePullBackOff")), True),
        (plan(instance=instance(**KEYED)), True),
        (plan(instance=instance(mcpServers=MCP_SERVERS)), True),
    ],
    ids=["runs", "serves", "no server", "updates", "no image", "no Secret", "invalid"],
)
def test_reconciling_is_false_once_nothing_starts_any_more(made: InstancePlan, *, settled: bool) -> None:
    """So `kubectl wait --for=condition=Reconciling=False` ends at once when an instance is ready, or cannot become it."""
    ready, reconciling = condition(made, "Ready"), condition(made, "Reconciling")
    assert reconciling["status"] == ("False" if settled else "True")
    assert (reconciling["reason"], reconciling["message"]) == (ready["reason"], ready["message"])


@pytest.mark.parametrize(
    "broken",
    [
        {"mcpServers": MCP_SERVERS},
        {"agents": {"default": {"model": "gpt-5-mini"}}},
        {"model": {"providerHeaders": {"x-team": "Łódź"}}},
    ],
)
def test_what_only_the_spec_can_repair_is_not_looked_for_again(broken: dict[str, Any]) -> None:
    found = plan(instance=instance(**broken))
    assert condition(found, "Ready")["status"] == "False"
    assert found.requeue_after is None


def test_every_condition_has_a_message() -> None:
    found = served(server=server_run(status={"phase": "Serving"}))
    types = {"Accepted", "ModelReady", "WebEndpointReady", "Ready", "Reconciling"}
    assert {c["type"] for c in found.status["conditions"]} == types
    assert all(c["message"] for c in found.status["conditions"])


def test_the_transition_time_moves_only_when_the_status_does() -> None:
    before = plan(instance=instance(**KEYED)).status
    same = plan(60, instance=instance(**KEYED, status=before), secret=secret_object("keys", "other"))
    assert reason(same, "ModelReady") == ("False", "SecretKeyNotFound")
    assert condition(same, "ModelReady")["lastTransitionTime"] == at(0)
    moved = plan(60, instance=instance(**KEYED, status=before), secret=secret_object("keys", "api-key"))
    assert condition(moved, "ModelReady")["lastTransitionTime"] == at(60)


def test_a_status_that_says_it_all_already_is_not_written() -> None:
    before = served(server=server_run(status={"phase": "Serving"})).status
    again = served(
        seconds=60, instance=instance(**WEB_ENDPOINT, status=before), server=server_run(status={"phase": "Serving"})
    )
    assert merge_patch(before, again.status) == {}


def test_switching_the_web_endpoint_off_clears_what_was_said_of_it() -> None:
    before = served(server=server_run(status={"phase": "Serving"})).status
    found = plan(instance=instance(status=before), server=server_run(status={"phase": "Serving"}))
    assert found.server_wanted is False
    assert reason(found, "WebEndpointReady") == ("False", "Draining")
    assert found.status["phase"] == "Running"
    assert condition(plan(instance=instance(status=found.status)), "WebEndpointReady") == {}
    assert merge_patch(before, found.status)["webEndpoint"] == {
        "enabled": False,
        "deploymentName": None,
        "serviceName": None,
        "authSecretName": None,
        "url": None,
    }


def test_while_it_drains_nothing_is_written_again() -> None:
    first = plan(instance=instance(status=served().status), server=server_run()).status
    later = plan(seconds=60, instance=instance(status=first), server=server_run()).status
    assert merge_patch(first, later) == {}


def test_a_server_run_of_another_owner_is_none_that_drains() -> None:
    stray = server_run("mallory")
    assert condition(plan(server=stray), "WebEndpointReady") == {}


@pytest.mark.parametrize(
    ("keys", "reason_"), [(None, "AuthSecretNotFound"), (secret_object("mine", "key"), "AuthSecretKeyNotFound")]
)
def test_missing_api_keys_are_reported_and_the_earlier_web_endpoint_stays(keys: Any, reason_: str) -> None:
    before = served(server=server_run(status={"phase": "Serving"})).status
    asks = instance(status=before, webEndpoint={"enabled": True, "authSecretRef": "mine"})
    found = plan(
        instance=asks, pack=WebEndpointPack(pack()), auth_secret=keys, server=server_run(status={"phase": "Serving"})
    )
    assert reason(found, "Accepted") == ("False", reason_)
    assert (found.server_wanted, found.requeue_after) == (None, 5)
    assert found.status["webEndpoint"] == before["webEndpoint"]


@pytest.mark.parametrize("headers", [{"x-team": "bl\u00e5"}, {"x-team": "blue\n"}, {"x team": "blue"}])
def test_a_header_that_cannot_be_sent_to_the_model_is_named(headers: dict[str, str]) -> None:
    agent = {"model": "smollm2", "baseURL": "http://model/v1", "providerHeaders": headers}
    found = plan(instance=instance(agents={"default": agent}))
    assert reason(found, "ModelReady") == ("False", "InvalidHeader")
    assert repr(next(iter(headers))) in condition(found, "ModelReady")["message"]
