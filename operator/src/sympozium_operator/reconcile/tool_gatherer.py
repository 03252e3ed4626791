"""Gatherer of an instance's tools, for the instance's reconciler."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sympozium_api import policy_check, tool_check
from sympozium_api.agent_document import AgentDocument
from sympozium_api.client import Client
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy_check import FieldDenial
from sympozium_api.tool_binding import IN_FORCE, ToolBinding
from sympozium_operator.policy import agent_tools
from sympozium_operator.policy.agent_tools import Granted
from sympozium_operator.policy.conditions import ConditionUpdate, find
from sympozium_operator.policy.within_policy import POLICY_DENIED
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
    denied: tuple[FieldDenial, ...] = ()
    """Tools of ToolBindings that its policy does not allow."""
    is_awaited: bool = False
    """True if a ToolBinding is in force once the instance's status shows the document."""


@dataclass(frozen=True)
class ToolGatherer:
    """Tools of all instances."""

    client: Client
    guard_url: str

    async def of(self, instance: SympoziumInstance, policy: EffectivePolicy | None = None) -> GatheredTools:
        """Return an instance's tools: of its ToolBindings those that are in force, by their status, and that its policy allows."""
        namespace, name = instance.key
        bindings = await bindings_of(self.client, namespace, name)
        held = [binding for binding in bindings if binding.status.is_granted or _is_denied(binding)]
        tools = {tool.metadata.name: tool for tool in await tools_of(self.client, namespace)} if held else {}
        found = [
            Granted(binding, tool, tool.status.function)
            for binding in held
            if (tool := tools.get(binding.spec.tool_ref)) and tool.status.function and not tool_check.of_tool(tool)
        ]
        granted = [each for each in found if each.binding.status.is_granted]
        return GatheredTools(
            agent_tools.document(instance, granted, self.guard_url, policy),
            agent_tools.builtin_condition(policy_check.bounded_instance(policy, instance), self.guard_url),
            has_news=any(not _is_owned(binding, instance) for binding in bindings),
            denied=tuple(_denials(found, policy)),
            is_awaited=any(_waits(each.binding) for each in granted),
        )


def _denials(found: Iterable[Granted], policy: EffectivePolicy | None) -> Iterator[FieldDenial]:
    for each in found:
        if denial := agent_tools.denial(each, policy):
            yield FieldDenial(f"the ToolBinding {each.binding.metadata.name}", denial)


def _is_denied(binding: ToolBinding) -> bool:
    condition = find(binding.status.conditions, IN_FORCE)
    return condition is not None and condition.reason == POLICY_DENIED


def _waits(binding: ToolBinding) -> bool:
    return all(condition.status != "True" for condition in binding.status.conditions if condition.type == IN_FORCE)


def _is_owned(binding: ToolBinding, instance: SympoziumInstance) -> bool:
    return any(owner.uid == instance.metadata.uid for owner in binding.metadata.owner_references)
