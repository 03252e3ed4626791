"""Gatherer of an instance's tools, for the instance's reconciler."""

from dataclasses import dataclass

from sympozium_api import tool_check
from sympozium_api.agent_document import AgentDocument
from sympozium_api.client import Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.tool_binding import IN_FORCE, ToolBinding
from sympozium_operator.policy import agent_tools
from sympozium_operator.policy.agent_tools import Granted
from sympozium_operator.policy.conditions import ConditionUpdate
from sympozium_operator.reconcile.tool_reader import bindings_of, tools_of


@dataclass(frozen=True)
class GatheredTools:
    """Tools of one instance."""

    document: AgentDocument | None
    """Tools that the agent is offered; None: it has none."""
    condition: ConditionUpdate | None = None
    """Condition of its built-in tools; None: it names none."""
    has_news: bool = False
    """True if a ToolBinding waited for this instance, so that the namespace's Tools must be reconciled."""
    is_awaited: bool = False
    """True if a ToolBinding is in force once the instance's status shows the document."""


@dataclass(frozen=True)
class ToolGatherer:
    """Tools of all instances."""

    client: Client
    guard_url: str

    async def of(self, instance: SympoziumInstance) -> GatheredTools:
        """Return an instance's tools: of its ToolBindings those that are in force, by their status."""
        namespace, name = instance.key
        bindings = await bindings_of(self.client, namespace, name)
        held = [binding for binding in bindings if binding.status.is_granted]
        tools = {tool.metadata.name: tool for tool in await tools_of(self.client, namespace)} if held else {}
        granted = [
            Granted(binding, tool, tool.status.function)
            for binding in held
            if (tool := tools.get(binding.spec.tool_ref)) and tool.status.function and not tool_check.of_tool(tool)
        ]
        return GatheredTools(
            agent_tools.document(instance, granted, self.guard_url),
            agent_tools.builtin_condition(instance, self.guard_url),
            has_news=any(not _is_owned(binding, instance) for binding in bindings),
            is_awaited=any(_waits(binding) for binding in held),
        )


def _waits(binding: ToolBinding) -> bool:
    return all(condition.status != "True" for condition in binding.status.conditions if condition.type == IN_FORCE)


def _is_owned(binding: ToolBinding, instance: SympoziumInstance) -> bool:
    return any(owner.uid == instance.metadata.uid for owner in binding.metadata.owner_references)
