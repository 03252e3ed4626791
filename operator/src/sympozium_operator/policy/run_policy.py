"""Effects of the policies that bind a run's instance on the run. Pure."""

from dataclasses import replace

from sympozium_api import model_targets, policy_binding, policy_check
from sympozium_api.model_targets import ModelsUnresolved
from sympozium_api.policy_binding import PolicySources
from sympozium_operator.policy.run_input import RunInput


def bounded(facts: RunInput, policies: PolicySources, image: str) -> RunInput:
    """Return the input with the limits that count, and with the run's refusal. ``image``: of agent pods."""
    instance, run = facts.instance, facts.run
    policy = policy_binding.effective(instance, policies) if instance else None
    if instance is None or policy is None:
        return facts
    return replace(
        facts,
        run=policy_check.bounded_run(policy, run),
        instance=policy_check.bounded_instance(policy, instance),
        policy=policy,
        denial=policy_check.of_run(policy, run, (), images=[image]),
        is_policy_awaited=instance.status.agent_document is None,
    )


def judged(facts: RunInput) -> RunInput:
    """Return the input with the refusal of the run's models, once they are gathered."""
    if facts.denial is not None or facts.policy is None or facts.instance is None or facts.model_failure is not None:
        return facts
    try:
        targets = facts.models.targets if facts.models else model_targets.of_run(facts.run, facts.instance, None)
    except ModelsUnresolved:
        return facts
    return replace(facts, denial=policy_check.of_models(facts.policy, targets))
