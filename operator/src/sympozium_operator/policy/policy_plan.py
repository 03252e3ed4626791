"""Condition of a SympoziumPolicy. Pure."""

from sympozium_api.policy_binding import Candidate
from sympozium_operator.policy.conditions import ConditionUpdate


def accepted(policy: Candidate, *, is_operators: bool) -> ConditionUpdate:
    """Return the condition Accepted of a policy. ``is_operators``: it is in the operator's namespace."""
    if policy.flaw is not None:
        message = f"{policy.flaw}. Until it is corrected, the instances that the policy binds are refused"
        return ConditionUpdate("Accepted", ok=False, reason="InvalidSpec", message=message)
    notes = ["the policy is in force"]
    if policy.spec and policy.spec.namespace_selector is not None and not is_operators:
        notes.append("spec.namespaceSelector does not count, because it counts in the operator's namespace only")
    if policy.spec and policy.spec.require_approval:
        notes.append("spec.requireApproval: this version cannot ask for approval, so it refuses these tools")
    return ConditionUpdate("Accepted", ok=True, reason="Accepted", message="; ".join(notes))
