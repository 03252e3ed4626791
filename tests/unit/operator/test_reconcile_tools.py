"""Tools and ToolBindings: their conditions, their owners, the agent's document, and what the egress guard may read."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.fakes.kubernetes import api_error
from tests.unit.api.tools import HOST, binding_manifest, tool_manifest
from tests.unit.operator.objects import NAMESPACE, SYSTEM, instance_object
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, ROLE_BINDINGS, ROLES, TOOL_BINDINGS, TOOLS, Object

GUARD = "http://sympozium-egress.sympozium-system.svc:8082"


def place(body: Object, **metadata: Any) -> Object:
    return body | {"metadata": body["metadata"] | {"namespace": NAMESPACE} | metadata}


def tool(name: str = "weather", **spec: Any) -> Object:
    return place(tool_manifest(name, **spec))


def binding(name: str = "alice-weather", **spec: Any) -> Object:
    return place(binding_manifest(name, **{"agentRef": "alice"} | spec))


def world(*objects: Object, guard: str = GUARD) -> World:
    return World(instance_object(), *objects, **({"SYMPOZIUM_EGRESS_URL": guard} if guard else {}))


async def settle(found: World) -> None:
    await found.settle("all", "tools")


def condition(found: World, kind: Any, name: str) -> tuple[str, str, str]:
    [only] = found.cluster.object(kind, name, NAMESPACE)["status"]["conditions"]
    assert only["type"] == "InForce"
    return only["status"], only["reason"], only["message"]


def document(found: World) -> Any:
    config_map = found.cluster.object(CONFIG_MAPS, names.installed_skills("alice"), NAMESPACE)
    return json.loads(config_map["data"]["agent.json"])


async def test_a_bound_tool_is_in_force_and_the_agent_is_offered_it() -> None:
    found = world(tool(description="Tells the weather."), binding(timeoutMs=5000))
    await settle(found)
    assert condition(found, TOOLS, "weather")[:2] == ("True", "InForce")
    assert condition(found, TOOL_BINDINGS, "alice-weather") == ("True", "InForce", "the agent alice may call Weather")
    assert document(found)["tools"] == [
        {
            "function": "Weather",
            "description": "Tells the weather.",
            "parameters": '{"type":"object","properties":{},"additionalProperties":false}',
            "baseUrl": GUARD,
            "timeoutMs": 5000,
        }
    ]
    assert document(found)["limits"] == {"iterations": 20, "toolCalls": 50}
    assert len(found.instance_status()["agentDocument"]) == 16
    [owner] = found.cluster.object(TOOL_BINDINGS, "alice-weather", NAMESPACE)["metadata"]["ownerReferences"]
    assert owner["kind"] == "SympoziumInstance"


async def test_a_binding_that_was_restored_since_it_was_read_is_not_given_to_the_former_instance() -> None:
    found = world(tool(), binding())

    def restore() -> None:
        found.cluster.remove(TOOL_BINDINGS, "alice-weather", NAMESPACE)
        found.cluster.remove(INSTANCES, "alice", NAMESPACE)
        found.cluster.put(instance_object())
        found.cluster.put(binding())

    found.cluster.meanwhile("patch", TOOL_BINDINGS, restore)
    with capture_logs() as logs:
        await found.reconcile("all", "tools")
    assert not logs
    assert "ownerReferences" not in found.cluster.object(TOOL_BINDINGS, "alice-weather", NAMESPACE)["metadata"]
    await settle(found)
    [owner] = found.cluster.object(TOOL_BINDINGS, "alice-weather", NAMESPACE)["metadata"]["ownerReferences"]
    assert owner["uid"] == found.cluster.object(INSTANCES, "alice", NAMESPACE)["metadata"]["uid"]


async def test_a_binding_that_may_not_be_owned_is_logged_and_holds_up_no_other_object() -> None:
    found = world(tool(), binding())
    found.cluster.refuse("patch", TOOL_BINDINGS, api_error(422, "Invalid", "denied by the policy no-owners"))
    with capture_logs() as logs:
        await settle(found)
    [line] = [each for each in logs if each["log_level"] == "warning"]
    assert (line["binding"], line["message"]) == ("alice-weather", "denied by the policy no-owners")
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("True", "InForce")


async def test_nothing_is_written_when_nothing_changed() -> None:
    found = world(tool(), binding())
    await settle(found)
    await settle(found)
    found.writes()
    await settle(found)
    await found.settle("alice", "instance")
    assert [write for write in found.writes() if write[1] != "events"] == []


async def test_an_instance_without_tools_has_no_document_and_costs_one_list() -> None:
    found = world()
    await found.settle("alice", "instance")
    assert "agentDocument" not in found.instance_status()
    assert names.installed_skills("alice") not in found.cluster.names(CONFIG_MAPS)
    found.cluster.reads.clear()
    await found.reconcile("alice", "instance")
    assert not [read for read in found.cluster.reads if read[1] == TOOLS.plural]


async def test_a_builtin_tool_of_the_instance_needs_no_binding() -> None:
    alice = instance_object()
    alice["spec"]["agents"]["default"]["builtinTools"] = ["fetch_url"]
    found = World(alice, SYMPOZIUM_EGRESS_URL=GUARD)
    await found.settle("alice", "instance")
    assert [each["function"] for each in document(found)["tools"]] == ["fetch_url"]


async def test_builtin_tools_without_a_guard_say_so_and_the_instance_serves_all_the_same() -> None:
    alice = instance_object()
    alice["spec"]["agents"]["default"]["builtinTools"] = ["fetch_url"]
    found = World(alice)
    await found.settle("alice", "instance")
    told = {each["type"]: each for each in found.instance_status()["conditions"]}
    assert (told["ToolsReady"]["status"], told["ToolsReady"]["reason"]) == ("False", "GuardOff")
    assert "builtinTools" in told["ToolsReady"]["message"]
    assert told["Ready"]["status"] == "True"
    found.cluster.put(instance_object(model={"builtinTools": []}))
    await found.settle("alice", "instance")
    assert "ToolsReady" not in {each["type"] for each in found.instance_status()["conditions"]}


async def test_a_binding_is_in_force_only_once_the_instance_shows_the_document_with_its_tool() -> None:
    found = world(tool(), binding())
    await found.reconcile("all", "tools")
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("False", "Gathering")
    await found.reconcile("alice", "instance")
    assert document(found)["tools"]
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("False", "Gathering")
    await found.reconcile("all", "tools")
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("True", "InForce")


async def test_a_binding_in_force_stays_so_while_another_one_is_gathered() -> None:
    found = world(tool(), binding())
    await settle(found)
    found.cluster.put(tool("news"))
    found.cluster.put(binding("alice-news", toolRef="news"))
    await found.reconcile("all", "tools")
    assert condition(found, TOOL_BINDINGS, "alice-weather")[0] == "True"
    assert condition(found, TOOL_BINDINGS, "alice-news")[:2] == ("False", "Gathering")


async def test_a_binding_waits_for_an_instance_that_is_not_accepted_without_end_of_work() -> None:
    alice = instance_object()
    alice["spec"]["skills"] = [{"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "many"}}]
    found = World(alice, tool(), binding(), SYMPOZIUM_EGRESS_URL=GUARD)
    await settle(found)
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("False", "Gathering")
    found.cluster.object(INSTANCES, "alice", NAMESPACE)["spec"]["skills"] = []
    await found.settle("alice", "instance")
    assert condition(found, TOOL_BINDINGS, "alice-weather")[0] == "True"


async def test_a_binding_that_is_removed_takes_the_document_along() -> None:
    found = world(tool(), binding())
    await settle(found)
    found.cluster.remove(TOOL_BINDINGS, "alice-weather", NAMESPACE)
    await settle(found)
    assert "agentDocument" not in found.instance_status()
    assert names.installed_skills("alice") not in found.cluster.names(CONFIG_MAPS)


async def test_a_binding_whose_tool_is_gone_is_deleted_and_one_before_its_tool_waits() -> None:
    found = world(binding())
    await settle(found)
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("False", "ToolNotFound")
    found.cluster.put(tool())
    await settle(found)
    assert condition(found, TOOL_BINDINGS, "alice-weather")[0] == "True"
    found.cluster.remove(TOOLS, "weather", NAMESPACE)
    await settle(found)
    assert found.cluster.names(TOOL_BINDINGS) == []


async def test_a_binding_before_its_instance_waits_for_it() -> None:
    found = World(tool(), binding(), SYMPOZIUM_EGRESS_URL=GUARD)
    await settle(found)
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("False", "AgentNotFound")
    found.cluster.put(instance_object())
    await found.settle("alice", "instance")
    assert condition(found, TOOL_BINDINGS, "alice-weather")[0] == "True"
    assert document(found)["tools"]


@pytest.mark.parametrize(
    ("tools", "bindings", "name", "reason", "field"),
    [
        ([{"enabled": False}], [{}], "alice-weather", "ToolNotInForce", "spec.toolRef"),
        ([{"command": {}}], [{}], "alice-weather", "ToolNotInForce", "spec.toolRef"),
        ([{}], [{"allowedDomains": []}], "alice-weather", "DomainNotAllowed", "spec.allowedDomains"),
        ([{}], [{"secretKey": "K"}], "alice-weather", "InvalidSpec", "spec.secretKey"),
        ([{}], [{}, {"name": "second"}], "second", "AlreadyBound", "spec.toolRef"),
    ],
)
async def test_what_cannot_hold_says_so_with_the_field(
    tools: list[Any], bindings: list[Any], name: str, reason: str, field: str
) -> None:
    found = world(*(tool(**spec) for spec in tools), *(binding(**spec) for spec in bindings))
    await settle(found)
    status, why, message = condition(found, TOOL_BINDINGS, name)
    assert (status, why, message.partition(":")[0]) == ("False", reason, field)


async def test_the_younger_tool_of_two_with_one_function_is_not_in_force() -> None:
    found = world(tool(function="get"), tool("second", function="get", created="2026-02-01T00:00:00Z"))
    await settle(found)
    assert condition(found, TOOLS, "weather")[0] == "True"
    assert condition(found, TOOLS, "second")[:2] == ("False", "FunctionTaken")


async def test_while_the_guard_is_off_no_binding_is_in_force() -> None:
    found = world(tool(webhook={"url": f"https://{HOST}/", "auth": "apiKey", "secretRef": "k"}), binding(), guard="")
    await settle(found)
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("False", "GuardOff")
    assert "agentDocument" not in found.instance_status()
    assert found.cluster.names(ROLES) == []


async def test_the_binding_with_which_the_document_would_be_too_large_says_so() -> None:
    large = {"parametersText": json.dumps({"type": "object", "description": "x" * 30_000})}
    tools = [tool(f"t{number:02}", title=f"T{number}", **large) for number in range(20)]
    bindings = [binding(f"b{number:02}", toolRef=f"t{number:02}") for number in range(20)]
    found = world(*tools, *bindings)
    await settle(found)
    reasons = [condition(found, TOOL_BINDINGS, f"b{number:02}")[1] for number in range(20)]
    assert reasons.index("TooLarge") > 10
    assert set(reasons) == {"InForce", "TooLarge"}
    assert len(json.dumps(document(found))) < 540_000


async def test_the_guard_may_read_exactly_the_secrets_that_are_named() -> None:
    auth = {"url": f"https://{HOST}/", "auth": "apiKey", "secretRef": "weather-key"}
    found = world(tool(webhook=auth), binding(secretKey="K"))
    await settle(found)
    [rule] = found.cluster.object(ROLES, names.EGRESS, NAMESPACE)["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["tool-secrets", "weather-key"],
        "verbs": ["get"],
    }
    [subject] = found.cluster.object(ROLE_BINDINGS, names.EGRESS, NAMESPACE)["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": names.EGRESS, "namespace": SYSTEM}
    found.cluster.remove(TOOLS, "weather", NAMESPACE)
    await settle(found)
    assert found.cluster.object(ROLES, names.EGRESS, NAMESPACE)["rules"] == []
    assert not [
        read for read in found.cluster.reads if read[1] == "secrets" and read[2] in ("weather-key", "tool-secrets")
    ]


async def test_a_tool_that_cannot_be_read_says_so_and_the_others_hold() -> None:
    found = world(tool(), binding())
    broken = tool("broken") | {"spec": {"title": 7, "webhook": []}}
    found.cluster.objects["tools", NAMESPACE, "broken"] = broken | {
        "metadata": broken["metadata"] | {"uid": "u", "resourceVersion": "1", "generation": 1}
    }
    await settle(found)
    assert condition(found, TOOL_BINDINGS, "alice-weather")[0] == "True"
    assert condition(found, TOOLS, "broken")[:2] == ("False", "InvalidSpec")


async def test_a_tool_that_cannot_be_read_any_more_keeps_its_bindings() -> None:
    found = world(tool(), binding())
    await settle(found)
    body = found.cluster.objects["tools", NAMESPACE, "weather"]
    found.cluster.objects["tools", NAMESPACE, "weather"] = body | {
        "spec": {"title": "Weather", "webhook": {"url": "https://a/", "auth": "of_a_later_version"}}
    }
    await settle(found)
    assert condition(found, TOOLS, "weather")[:2] == ("False", "InvalidSpec")
    assert condition(found, TOOL_BINDINGS, "alice-weather")[:2] == ("False", "ToolNotInForce")


async def test_an_agent_ref_that_is_no_name_says_so_and_the_others_hold() -> None:
    found = world(tool(), binding(), binding("odd", agentRef="../tools/x?limit=1"))
    await settle(found)
    assert condition(found, TOOL_BINDINGS, "alice-weather")[0] == "True"
    assert condition(found, TOOL_BINDINGS, "odd")[:2] == ("False", "AgentNotFound")


async def test_without_the_crds_instances_are_reconciled_as_before() -> None:
    found = world()
    found.cluster.absent |= {TOOLS, TOOL_BINDINGS}
    await found.settle("alice", "instance")
    await settle(found)
    assert found.cluster.object(INSTANCES, "alice", NAMESPACE)["status"]["phase"]
