"""Condition of an instance that policies bind: what of its spec they do not allow. Pure."""

from collections.abc import Iterable

from sympozium_api import effective_policy, policy_check
from sympozium_api.agent_document import AgentDocument, AgentLimits
from sympozium_api.effective_policy import EffectivePolicy, ToolFacts
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy_check import FieldDenial
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.tool_function import BUILTIN_TOOLS
from sympozium_operator.policy.conditions import ConditionUpdate

WITHIN_POLICY = "WithinPolicy"
"""Type of the condition. Absent: no policy binds the instance."""
POLICY_DENIED = "PolicyDenied"
"""Reason of what a policy does not allow."""


def condition(
    policy: EffectivePolicy | None,
    instance: SympoziumInstance,
    refusal: FieldDenial | None,
    tools: Iterable[FieldDenial] = (),
) -> ConditionUpdate | None:
    """Return the condition; None: no policy binds the instance.

    ``refusal``: of the instance as a whole; ``tools``: of tools that ToolBindings grant.
    """
    if policy is None:
        return None
    if refusal is not None:
        return ConditionUpdate(WITHIN_POLICY, ok=False, reason="PolicyDenied", message=str(refusal))
    parts = [*policy_check.parts_of(policy, instance, instance.spec.agents.default.provider_ref), *tools]
    if parts:
        message = "; ".join(map(str, parts))
        return ConditionUpdate(WITHIN_POLICY, ok=False, reason="PolicyDenied", message=f"left out: {message}")
    names = ", ".join(each.name for each in policy.policies)
    return ConditionUpdate(WITHIN_POLICY, ok=True, reason="Allowed", message=f"bound by {names}")


def refusal(
    policy: EffectivePolicy | None, instance: SympoziumInstance, targets: Iterable[ResolvedModel], images: Iterable[str]
) -> FieldDenial | None:
    """Return the refusal of an instance as a whole, whose agents then do not run."""
    return policy_check.of_instance(policy, instance, targets, images) if policy else None


def rebound(document: AgentDocument | None, policy: EffectivePolicy | None) -> AgentDocument | None:
    """Return a document from before under the policy of now, for an instance whose spec is not accepted; None: none is needed."""
    if document is None:
        return None if policy is None else AgentDocument(policy=policy)
    limits = effective_policy.limits(policy)
    lowered = {
        field: effective_policy.smallest((getattr(document.limits, field), getattr(limits, field)))
        for field in AgentLimits.model_fields
    }
    tools = [tool for tool in document.tools if effective_policy.tool(policy, _facts(tool.function)) is None]
    return document.model_copy(update={"tools": tools, "limits": AgentLimits(**lowered), "policy": policy})


def _facts(function: str) -> ToolFacts:
    is_builtin = function in BUILTIN_TOOLS
    return ToolFacts(function, builtin=function if is_builtin else None, of_instance=is_builtin)
