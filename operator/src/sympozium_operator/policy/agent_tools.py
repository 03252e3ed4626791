"""The tools that an agent is offered, as the document ``agent.json`` holds them."""

from collections.abc import Iterable
from typing import NamedTuple

from sympozium_api import agent_document, effective_policy, policy_check, tool_offer
from sympozium_api.agent_document import AgentDocument, AgentLimits, OfferedTool
from sympozium_api.effective_policy import Denial, EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import ToolBinding
from sympozium_api.tool_schema import builtin_parameters
from sympozium_operator.policy.conditions import ConditionUpdate
from sympozium_operator.policy.provider_resolution import InstanceModels

TOOLS_READY = "ToolsReady"
"""Type of the instance's condition of its built-in tools."""
GUARD_OFF_TEXT = "the egress guard is off in this installation (egress.enabled), so that no tool can be called"
BUILTIN_TIMEOUT_MS = 10_000
OTHER_BYTES = 4096
"""Bytes of a document beside the tools of ToolBindings: built-in tools and limits."""


class Granted(NamedTuple):
    """A ToolBinding that holds, with its Tool and the function under which the model calls it."""

    binding: ToolBinding
    tool: Tool
    function: str


def offered(granted: Granted, guard_url: str) -> OfferedTool:
    """Return a tool as the model is told it."""
    return tool_offer.offered(granted.binding, granted.tool, granted.function, guard_url)


def document(
    instance: SympoziumInstance, granted: Iterable[Granted], guard_url: str, policy: EffectivePolicy | None = None
) -> AgentDocument | None:
    """Return the document of an instance; None if its agent has no tool and no policy. Without a guard it has no tool.

    ``policy`` is what binds the instance: what it denies is not offered.
    """
    bounded = policy_check.bounded_instance(policy, instance)
    tools = {each.function: offered(each, guard_url) for each in granted if denial(each, policy) is None}
    for name in bounded.spec.agents.default.builtin_tools:
        tools.setdefault(name, _builtin(name, guard_url))
    if not guard_url or effective_policy.flaw(policy):
        tools = {}
    if not tools and policy is None:
        return None
    limits = bounded.spec.agents.default.limits
    return AgentDocument(
        tools=[tools[function] for function in sorted(tools)],
        limits=AgentLimits(**limits.model_dump()),
        policy=policy,
    )


def with_models(document: AgentDocument | None, models: InstanceModels) -> AgentDocument | None:
    """Return a document with the models that the operator resolved; None: there is neither a tool nor a model."""
    if not models.models:
        return document
    return (document or AgentDocument()).model_copy(update={"models": list(models.models)})


def denial(granted: Granted, policy: EffectivePolicy | None) -> Denial | None:
    """Return the refusal of a tool by the policy that binds its agent."""
    return policy_check.of_tool(policy, granted.tool, granted.function)


def builtin_condition(instance: SympoziumInstance, guard_url: str) -> ConditionUpdate | None:
    """Return the condition of an instance's built-in tools; None: it names none."""
    builtin = instance.spec.agents.default.builtin_tools
    if not builtin:
        return None
    if not guard_url:
        message = f"spec.agents.default.builtinTools: {GUARD_OFF_TEXT}"
        return ConditionUpdate(TOOLS_READY, ok=False, reason="GuardOff", message=message)
    message = f"the agent may call {', '.join(sorted(set(builtin)))}"
    return ConditionUpdate(TOOLS_READY, ok=True, reason="InForce", message=message)


def size(granted: Granted, guard_url: str) -> int:
    """Return the bytes that a tool takes in the document."""
    return len(offered(granted, guard_url).model_dump_json(by_alias=True).encode()) + 1


def digest(made: AgentDocument | None) -> str | None:
    """Return the digest that an instance's status shows; None: there is no document."""
    return agent_document.digest(made) if made else None


def _builtin(name: str, guard_url: str) -> OfferedTool:
    return OfferedTool(
        function=name,
        description=tool_offer.BUILTIN_DESCRIPTIONS[name],
        parameters=builtin_parameters(name),
        base_url=guard_url,
        timeout_ms=BUILTIN_TIMEOUT_MS,
    )
