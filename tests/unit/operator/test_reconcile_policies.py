"""SympoziumPolicies: what binds an instance is in its document, what is denied is refused, and changes reach all that is bound."""

import json
from typing import Any

import pytest
from tests.unit.api.policies import policy_manifest
from tests.unit.api.tools import binding_manifest, tool_manifest
from tests.unit.operator.objects import MCP_SERVERS, NAMESPACE, SYSTEM, WEB_ENDPOINT, instance_object, pack_object
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, NAMESPACES, POLICIES, TOOL_BINDINGS, Object
from sympozium_operator.result import Key
from sympozium_operator.scheduling.shards import Shards

GUARD = "http://sympozium-egress.sympozium-system.svc:8082"


def policy(name: str = "bounds", namespace: str = NAMESPACE, /, **spec: Any) -> Object:
    body = policy_manifest(name, namespace, **spec)
    return body | {"metadata": body["metadata"] | {"uid": f"uid-{name}"}}


def bound_world(*objects: Object, **spec: Any) -> World:
    return World(instance_object(**spec), *objects, SYMPOZIUM_EGRESS_URL=GUARD)


async def settle(world: World, name: str = "bounds", namespace: str = NAMESPACE) -> None:
    """Reconcile a policy that was changed, and all that this brings up."""
    ready = [Key("policy", namespace, name)]
    for _ in range(30):
        if not ready:
            return
        key = ready.pop(0)
        result = await world.dispatcher(key)
        ready += (*result.enqueue, *result.spread)


def condition(world: World, kind: str = "WithinPolicy") -> Object | None:
    found = world.instance_status().get("conditions", [])
    return next((each for each in found if each["type"] == kind), None)


def document(world: World) -> Any:
    config_map = world.cluster.object(CONFIG_MAPS, names.installed_skills("alice"), NAMESPACE)
    return json.loads(config_map["data"]["agent.json"])


def denied(world: World, kind: str) -> float:
    return world.metrics.registry.get_sample_value("sympozium_policy_denied_total", {"kind": kind}) or 0


async def test_a_policy_that_binds_is_in_the_document_and_shows_how_many_it_binds() -> None:
    world = bound_world(policy(appliesTo="all", limits={"iterations": 3}, models={"allow": ["openai_compat:*"]}))
    await settle(world)
    assert [each["name"] for each in document(world)["policy"]["policies"]] == ["bounds"]
    assert document(world)["limits"]["iterations"] == 3
    assert world.instance_status()["agentDocument"]
    within = condition(world)
    assert within
    assert (within["status"], within["reason"], within["message"]) == ("True", "Allowed", "bound by bounds")
    status = world.cluster.object(POLICIES, "bounds", NAMESPACE)["status"]
    assert status["boundInstances"] == 1
    assert [(each["type"], each["status"]) for each in status["conditions"]] == [("Accepted", "True")]


async def test_an_instance_that_no_policy_binds_has_neither_condition_nor_document() -> None:
    world = bound_world(policy())
    await settle(world)
    assert condition(world) is None
    assert "agentDocument" not in world.instance_status()
    assert world.cluster.object(POLICIES, "bounds", NAMESPACE)["status"]["boundInstances"] == 0


@pytest.mark.parametrize(
    ("spec", "model", "field", "words", "kind"),
    [
        ({"models": {"deny": ["*:gpt-*"]}}, {}, "spec.agents.default.model", "(models.deny)", "models"),
        ({"providers": {"deny": ["openai_compat"]}}, {}, "spec.agents.default.model", "(providers.deny)", "providers"),
        (
            {"egressHosts": {"allow": ["api.openai.com"]}},
            {},
            "spec.agents.default.baseURL",
            "the host model.example.com is not allowed by the SympoziumPolicy bounds (egressHosts.allow)",
            "egressHosts",
        ),
        (
            {"egressHosts": {"deny": ["elsewhere.org"]}},
            {"baseURL": "http://me@elsewhere.org/v1"},
            "spec.agents.default.baseURL",
            "an address that must not have user information",
            "egressHosts",
        ),
        ({"images": {"allow": ["ghcr.io/acme/*"]}}, {}, "spec", "the image example.com/agent:1", "images"),
        ({"limits": {"timeout": ""}}, {}, "spec", "bounds is not in force (spec.limits.timeout: write hours", "policy"),
    ],
)
async def test_an_instance_that_asks_for_more_is_refused(
    spec: Object, model: Object, field: str, words: str, kind: str
) -> None:
    world = bound_world(policy(**spec), policyRef="bounds", model=model)
    await settle(world)
    within = condition(world)
    assert within
    assert (within["status"], within["reason"]) == ("False", "PolicyDenied")
    assert within["message"].startswith(f"{field}: ")
    assert words in within["message"]
    assert world.instance_status()["phase"] == "Error"
    ready = condition(world, "Ready")
    assert ready
    assert (ready["status"], ready["reason"]) == ("False", "PolicyDenied")
    assert denied(world, kind) == 1
    assert ("Warning", "PolicyDenied") in [event[:2] for event in world.events()]
    world.ask("q1")
    await world.reconcile("q1")
    error = world.status()["error"]
    assert (error["type"], error["httpStatus"]) == ("policy_denied", 403)
    assert "bounds" in error["message"]
    assert denied(world, kind) == 2


async def test_parts_that_are_denied_are_left_out_and_the_rest_works() -> None:
    model = {"allowedModels": ["gpt-y", "good"], "builtinTools": ["fetch_url"], "maxTokens": 100}
    spec = {"models": {"deny": ["*:gpt-y"]}, "builtins": {"deny": ["*"]}, "limits": {"outputTokens": 50}}
    world = bound_world(policy(appliesTo="all", **spec), model=model)
    await settle(world)
    within, ready = condition(world), condition(world, "Ready")
    assert within
    assert ready
    assert within["message"] == (
        "left out: spec.agents.default.allowedModels[0]: the model openai_compat:gpt-y is not allowed by the"
        " SympoziumPolicy bounds (models.deny); spec.agents.default.builtinTools[0]: the built-in tool fetch_url is not"
        " allowed by the SympoziumPolicy bounds (builtins.deny)"
    )
    assert ready["status"] == "True"
    assert document(world)["tools"] == []
    assert document(world)["limits"]["outputTokens"] == 50


async def test_a_missing_policy_refuses_the_instance_until_it_is_there() -> None:
    world = bound_world(policyRef="bounds")
    await world.settle("alice", "instance")
    within = condition(world)
    assert within
    assert "there is no such SympoziumPolicy" in within["message"]
    world.cluster.put(policy())
    await settle(world)
    assert (condition(world) or {})["status"] == "True"
    world.cluster.remove(POLICIES, "bounds", NAMESPACE)
    await settle(world)
    assert (condition(world) or {})["reason"] == "PolicyDenied"


async def test_a_denied_tool_is_not_offered_and_its_binding_says_so() -> None:
    place = {"namespace": NAMESPACE}
    tool, binding = tool_manifest("weather"), binding_manifest("alice-weather", agentRef="alice")
    world = bound_world(
        tool | {"metadata": tool["metadata"] | place}, binding | {"metadata": binding["metadata"] | place}
    )
    await world.settle("all", "tools")
    assert [each["function"] for each in document(world)["tools"]] == ["Weather"]
    world.cluster.put(policy(appliesTo="all", tools={"deny": ["weather"]}))
    await settle(world)
    assert document(world)["tools"] == []
    [in_force] = world.cluster.object(TOOL_BINDINGS, "alice-weather", NAMESPACE)["status"]["conditions"]
    assert (in_force["status"], in_force["reason"]) == ("False", "PolicyDenied")
    assert in_force["message"] == (
        "spec.toolRef: the tool Weather is not allowed by the SympoziumPolicy bounds (tools.deny)"
    )
    world.cluster.put(policy(appliesTo="all", tools=None))
    await settle(world)
    assert [each["function"] for each in document(world)["tools"]] == ["Weather"]


async def test_the_operators_policies_bind_the_namespaces_that_they_select() -> None:
    team = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"tier": "free"}}}
    selector = {"matchLabels": {"tier": "free"}}
    world = bound_world(team, policy("free", SYSTEM, namespaceSelector=selector, models={"deny": ["*"]}))
    await settle(world, "free", SYSTEM)
    within = condition(world)
    assert within
    assert f"{SYSTEM}/free (models.deny)" in within["message"]
    assert world.cluster.object(POLICIES, "free", SYSTEM)["status"]["boundInstances"] == 1
    world.cluster.put(team | {"metadata": {"name": NAMESPACE, "labels": {"tier": "paid"}}})
    await settle(world, "", NAMESPACE)
    assert condition(world) is None


async def test_a_selector_elsewhere_does_not_count_and_the_condition_says_so() -> None:
    world = bound_world(policy(namespaceSelector={}, models={"deny": ["*"]}))
    await settle(world)
    assert condition(world) is None
    [accepted] = world.cluster.object(POLICIES, "bounds", NAMESPACE)["status"]["conditions"]
    assert "does not count" in accepted["message"]


async def test_an_operator_that_may_not_read_namespaces_takes_labels_to_match() -> None:
    world = bound_world(
        policy("free", SYSTEM, namespaceSelector={"matchLabels": {"tier": "free"}}, models={"deny": ["*"]})
    )
    for verb in ("get", "list"):
        world.cluster.refuse(verb, NAMESPACES, ApiError(403, {"reason": "Forbidden"}))
    await settle(world, "free", SYSTEM)
    assert (condition(world) or {})["reason"] == "PolicyDenied"


async def test_a_policy_that_cannot_be_read_refuses_what_it_may_bind() -> None:
    world = bound_world(policy(models={"allow": ["gpt-4"]}))
    await settle(world)
    [accepted] = world.cluster.object(POLICIES, "bounds", NAMESPACE)["status"]["conditions"]
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert accepted["message"].startswith("spec.models.allow[0]: write provider:model")
    assert (condition(world) or {})["reason"] == "PolicyDenied"


async def test_a_spec_that_is_not_accepted_keeps_its_tools_and_gets_the_policy() -> None:
    """So that nobody keeps an old policy with a spec that is refused."""
    world = bound_world(model={"builtinTools": ["fetch_url"]})
    await world.settle("alice", "instance")
    before = world.instance_status()["agentDocument"]
    body = world.cluster.object(INSTANCES, "alice", NAMESPACE)
    world.cluster.put(body | {"spec": body["spec"] | {"mcpServers": MCP_SERVERS}})
    await world.settle("alice", "instance")
    assert world.instance_status()["agentDocument"] == before
    world.cluster.put(policy(appliesTo="all", limits={"toolCalls": 1}))
    await settle(world)
    assert document(world)["limits"]["toolCalls"] == 1
    assert [each["function"] for each in document(world)["tools"]] == ["fetch_url"]
    assert document(world)["policy"]
    assert world.instance_status()["agentDocument"] != before
    world.cluster.put(policy(appliesTo="all", builtins={"deny": ["*"]}))
    await settle(world)
    assert document(world)["tools"] == []


async def test_runs_wait_until_the_document_holds_the_policy_and_get_its_limits() -> None:
    world = bound_world(policy(appliesTo="all", limits={"timeout": "30s", "concurrentRuns": 1}))
    world.ask("q1", timeout="1h")
    world.ask("q2")
    result = await world.reconcile("q1")
    assert result.requeue_after
    assert world.writes() == []
    await settle(world)
    await world.reconcile("q1")
    assert 30 < world.job("q1")["spec"]["activeDeadlineSeconds"] - 600 < 30 + 60
    await world.reconcile("q2")
    assert world.fair_queue.counts() == (1, 1)


@pytest.mark.parametrize(
    ("spec", "run", "kind"),
    [
        ({"models": {"allow": ["*:gpt-x"]}}, {"model": {"model": "gpt-y"}}, "models"),
        (
            {"egressHosts": {"allow": ["model.example.com"]}},
            {"model": {"baseURL": "http://evil.org/v1"}},
            "egressHosts",
        ),
        ({"delegation": False}, {"parent": "other"}, "delegation"),
    ],
)
async def test_a_run_that_asks_for_more_fails_before_it_has_a_pod(spec: Object, run: Object, kind: str) -> None:
    world = bound_world(policy(appliesTo="all", **spec))
    await settle(world)
    world.ask("q1", **run)
    await world.reconcile("q1")
    assert world.status()["error"]["type"] == "policy_denied"
    assert denied(world, kind) == 1
    await world.reconcile("q1")
    assert any(reason == "RunFailed" and "bounds" in text for _, reason, text in world.events())


async def test_an_image_that_is_denied_takes_the_web_endpoint_away() -> None:
    world = bound_world(pack_object(), **WEB_ENDPOINT)
    await world.settle("alice", "instance")
    assert world.cluster.names(INSTANCES)
    world.cluster.put(policy(appliesTo="all", images={"deny": ["*"]}))
    await settle(world)
    assert (condition(world) or {})["reason"] == "PolicyDenied"
    assert "warmPool" not in world.instance_status()


async def test_an_unchanged_policy_wakes_no_instance_and_writes_nothing() -> None:
    world = bound_world(policy(appliesTo="all"))
    await settle(world)
    world.writes()
    world.clock.advance(10)
    result = await world.reconcile("bounds", "policy")
    assert (result.enqueue, result.spread) == ((), ())
    assert world.writes() == []


async def test_a_new_leader_wakes_no_instance_for_a_policy_that_it_finds_current() -> None:
    world = bound_world(policy(appliesTo="all"))
    await settle(world)
    world.restart()
    result = await world.reconcile("bounds", "policy")
    assert (result.enqueue, result.spread) == ((), ())


async def test_a_policy_whose_status_another_shards_operator_wrote_wakes_the_instances_of_this_one() -> None:
    world = bound_world(policy("house", SYSTEM, namespaceSelector={}))
    await world.reconcile("house", "policy", SYSTEM)
    world.restart(shards=Shards(SYSTEM, 2, frozenset({1})))
    woken = await world.reconcile("house", "policy", SYSTEM)
    assert Key("instance", NAMESPACE, "alice") in woken.enqueue


async def test_a_changed_policy_wakes_its_instances_although_the_first_attempt_failed() -> None:
    world = bound_world(policy(appliesTo="all"))
    await settle(world)
    world.cluster.put(policy(appliesTo="all", limits={"iterations": 3}))
    world.cluster.refuse("patch", POLICIES, ApiUnavailable("away"))
    with pytest.raises(ApiUnavailable):
        await world.reconcile("bounds", "policy")
    woken = await world.reconcile("bounds", "policy")
    assert Key("instance", NAMESPACE, "alice") in woken.enqueue
    assert not (await world.reconcile("bounds", "policy")).enqueue
