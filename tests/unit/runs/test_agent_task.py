"""The task of an agent with tools."""

import json
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.conftest import instance as manifest

from sympozium_api import agent_document, names
from sympozium_api.agent_document import AgentDocument, AgentLimits, OfferedTool
from sympozium_api.client import ApiUnavailable
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import ModelsUnresolved
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.run import AgentRun
from sympozium_api.run_status import RunStatus
from sympozium_runs import agent_task
from sympozium_runs.agent_documents import AgentDocuments


def tool(function: str) -> OfferedTool:
    return OfferedTool(
        function=function, description="d", parameters='{"b":1,"a":2}', base_url="http://guard:8082", timeout_ms=15000
    )


DOCUMENT = AgentDocument(tools=[tool("time"), tool("weather")], limits=AgentLimits(iterations=20, tool_calls=50))


def instance(**status: Any) -> SympoziumInstance:
    return SympoziumInstance.model_validate(manifest() | {"status": status})


def run(**spec: Any) -> AgentRun:
    metadata = {"name": "r", "namespace": "default"}
    return AgentRun.model_validate({"metadata": metadata, "spec": {"agentRef": "demo", "task": "Hi"} | spec})


def config_map(document: AgentDocument) -> dict[str, Any]:
    metadata = {"name": names.installed_skills("demo"), "namespace": "default"}
    data = {agent_document.DOCUMENT: agent_document.render(document)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_a_task_has_the_tools_and_the_limits_of_its_instance() -> None:
    task = agent_task.build(run(), instance(), (), DOCUMENT, seconds_left=60)
    assert task["tools"][1] == {
        "function": "weather",
        "description": "d",
        "parameters": '{"b":1,"a":2}',
        "baseUrl": "http://guard:8082",
        "timeoutMs": 15000,
    }
    assert task["limits"] == {"iterations": 20, "toolCalls": 50}


def test_a_task_of_an_instance_without_tools_is_as_before() -> None:
    task = agent_task.build(run(), instance(), seconds_left=60)
    assert not {"tools", "limits"} & set(task)


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ({}, ["time", "weather"]),
        ({"deny": ["weath*"]}, ["time"]),
        ({"allow": ["weather"]}, ["weather"]),
        ({"allow": ["*"], "deny": ["time"]}, ["weather"]),
        ({"allow": ["none"]}, []),
    ],
)
def test_a_runs_policy_leaves_tools_out(policy: dict[str, Any], left: list[str]) -> None:
    task = agent_task.build(run(toolPolicy=policy), instance(), (), DOCUMENT, seconds_left=60)
    assert [each["function"] for each in task.get("tools", [])] == left
    assert ("limits" in task) == bool(left)


@pytest.mark.parametrize(
    ("own", "roles"), [(None, ["system", "user"]), ("", ["user"]), ("Be kind.", ["system", "user"])]
)
def test_an_empty_system_prompt_means_none(own: str | None, roles: list[str]) -> None:
    prompted = manifest() | {"spec": manifest()["spec"] | {"memory": {"systemPrompt": "Be short."}}}
    spec = {} if own is None else {"systemPrompt": own}
    task = agent_task.build(run(**spec), SympoziumInstance.model_validate(prompted), seconds_left=60)
    messages = json.loads(task["request"]["messages"])
    assert [message["role"] for message in messages] == roles


async def test_a_document_is_read_once_until_its_digest_changes() -> None:
    kubernetes = FakeKubernetes()
    documents = AgentDocuments(kubernetes)
    assert await documents.of(instance()) is None
    assert kubernetes.reads == []
    kubernetes.put(config_map(DOCUMENT))
    served = instance(agentDocument=agent_document.digest(DOCUMENT))
    assert await documents.of(served) == await documents.of(served) == DOCUMENT
    assert len(kubernetes.reads) == 1
    changed = AgentDocument(tools=[tool("weather")])
    kubernetes.put(config_map(changed))
    assert await documents.of(instance(agentDocument=agent_document.digest(changed))) == changed


async def test_a_document_that_is_not_there_yet_is_waited_for() -> None:
    with pytest.raises(ApiUnavailable):
        await AgentDocuments(FakeKubernetes()).of(instance(agentDocument="0123456789abcdef"))


def test_idle_pods_of_an_agent_with_tools_prepare_for_them() -> None:
    assert "tools" not in agent_task.warmup_hints(instance())
    assert agent_task.warmup_hints(instance(), DOCUMENT)["tools"] is True


def of_version(target: ResolvedModel | None = None, **spec: Any) -> AgentRun:
    """A run of a version with the model ``old`` of Provider claude."""
    version = {"model": {"providerRef": "claude", "model": "old"}, "systemPrompt": "", "params": {"top_p": 0.5}}
    return run(**version | spec).model_copy(update={"status": RunStatus(target=target)})


def with_provider(name: str | None) -> SympoziumInstance:
    body = manifest()
    body["spec"]["agents"]["default"] |= {"providerRef": name, "params": {"temperature": 0.2}}
    body["spec"]["memory"] = {"systemPrompt": "Draft."}
    return SympoziumInstance.model_validate(body)


CLAUDE = ResolvedModel(ref="claude", name="new", title="claude:new", base_url="https://claude.example")
FALLBACK = CLAUDE.model_copy(update={"name": "small", "title": "claude:small"})


def test_a_run_of_a_version_has_the_versions_model_and_parameters_and_none_of_the_drafts() -> None:
    document = AgentDocument(models=[CLAUDE, FALLBACK])
    task = agent_task.build(of_version(), with_provider("claude"), (), document, seconds_left=60)
    assert (task["request"]["model"], task["request"]["top_p"]) == ('"old"', "0.5")
    assert "temperature" not in task["request"]
    assert "fallbacks" not in task
    assert [message["role"] for message in json.loads(task["request"]["messages"])] == ["user"]


@pytest.mark.parametrize("now", ["other", None])
def test_a_run_of_a_version_has_its_model_after_its_instance_has_another_provider(now: str | None) -> None:
    document = AgentDocument(models=[CLAUDE.model_copy(update={"ref": "other"})]) if now else None
    with pytest.raises(ModelsUnresolved):
        agent_task.build(of_version(), with_provider(now), (), document, seconds_left=60)
    old = CLAUDE.model_copy(update={"name": "old"})
    task = agent_task.build(of_version(old), with_provider(now), (), document, seconds_left=60)
    assert (task["model"]["baseURL"], task["request"]["model"]) == ("https://claude.example", '"old"')
