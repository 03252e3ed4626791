"""The wait until a changed tool or binding counts for the next run."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.api.tools import HOST, binding_manifest, tool_manifest

from sympozium_api import agent_document, names, tool_offer
from sympozium_api.agent_document import AgentDocument
from sympozium_api.resources import TOOL_BINDINGS, Object
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import ToolBinding
from sympozium_domain.tools.tools_in_force import ToolsInForce

GUARD = "http://sympozium-egress:8082"


def in_force(status: str = "True", reason: str = "InForce", generation: int = 1) -> Object:
    condition = {"type": "InForce", "status": status, "reason": reason, "observedGeneration": generation}
    return {"function": "Weather", "conditions": [condition | {"lastTransitionTime": "2026-01-01T00:00:00Z"}]}


def put_document(kubernetes: FakeKubernetes, **changes: Any) -> None:
    """What the agent's next run is offered: the Tool as it is, but for these changes."""
    binding = ToolBinding.model_validate(binding_manifest())
    offer = tool_offer.offered(binding, Tool.model_validate(tool_manifest()), "Weather", GUARD)
    text = agent_document.render(AgentDocument(tools=[offer.model_copy(update=changes)]))
    metadata = {"name": names.installed_skills("demo"), "namespace": "default"}
    kubernetes.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"agent.json": text}})


@pytest.fixture
def kubernetes() -> FakeKubernetes:
    """An agent that is offered its tool."""
    found = FakeKubernetes()
    spec = {"agents": {"default": {"model": "m"}}}
    agent = {"apiVersion": names.API_VERSION, "kind": "SympoziumInstance", "metadata": {"name": "demo"}, "spec": spec}
    found.put(agent | {"status": {"agentDocument": "0123456789abcdef"}})
    found.put(tool_manifest() | {"status": in_force()})
    found.put(binding_manifest() | {"status": in_force()})
    put_document(found)
    return found


async def is_settled(kubernetes: FakeKubernetes) -> bool:
    settling = asyncio.create_task(ToolsInForce(kubernetes, 60).settle_agents("default", ["demo"]))
    await asyncio.wait({settling}, timeout=0.1)
    settled = settling.done()
    settling.cancel()
    return settled


async def test_an_agent_that_is_offered_what_it_is_granted_is_settled(kubernetes: FakeKubernetes) -> None:
    assert await is_settled(kubernetes)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: put_document(found, description="as it was before"),
        lambda found: put_document(found, timeout_ms=1),
        lambda found: put_document(found, function="another"),
        lambda found: found.put(binding_manifest() | {"status": in_force("False", "Gathering")}),
        lambda found: found.put(tool_manifest() | {"status": in_force(generation=0)}),
        lambda found: found.put(binding_manifest(timeoutMs=1)),  # not observed yet
        lambda found: found.remove(TOOL_BINDINGS, "demo-weather"),  # still offered
        lambda found: found.put(
            binding_manifest() | {"status": in_force("False", "DomainNotAllowed")}
        ),  # still offered
    ],
)
async def test_until_then_it_is_not(kubernetes: FakeKubernetes, change: Callable[[FakeKubernetes], object]) -> None:
    change(kubernetes)
    assert not await is_settled(kubernetes)


async def test_an_operator_that_is_away_is_not_waited_for_without_end(kubernetes: FakeKubernetes) -> None:
    kubernetes.put(tool_manifest(title="Another") | {"status": in_force(generation=0)})
    waiting = ToolsInForce(kubernetes, 0.05)
    await waiting.settle_tool("default", "weather")
    await waiting.settle_agents("default", ["demo"])


async def test_a_binding_that_cannot_be_in_force_says_why(kubernetes: FakeKubernetes) -> None:
    status = in_force("False", "DomainNotAllowed")
    status["conditions"][0]["message"] = f"spec.allowedDomains: the Tool's host {HOST} is not among them"
    kubernetes.put(binding_manifest() | {"status": status})
    assert HOST in (await ToolsInForce(kubernetes).obstacle("default", "demo-weather") or "")
    kubernetes.put(binding_manifest() | {"status": in_force()})
    assert await ToolsInForce(kubernetes).obstacle("default", "demo-weather") is None
    assert await ToolsInForce(kubernetes).obstacle("default", "none") is None
