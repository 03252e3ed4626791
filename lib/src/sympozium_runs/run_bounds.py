"""Effects of an instance's policies on a run: its limits, and its refusal. Pure."""

import json
from collections.abc import Iterable, Mapping

from sympozium_api import effective_policy, model_targets, policy_check
from sympozium_api.agent_document import AgentDocument
from sympozium_api.effective_policy import Denial, EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import ModelsUnresolved
from sympozium_api.run import AgentRun

_DIGITS = 6
_MANY: int = 10**_DIGITS
_OTHER_MODELS = frozenset({"models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"})
"""Fields in which OpenRouter and LiteLLM take models that answer instead of the one in ``model``."""


class PolicyRefused(Exception):
    """A run that the policies of its instance do not allow; the message names policy and field."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(str(denial))
        self.kind = denial.kind


def denial_of_model(instance: SympoziumInstance, document: AgentDocument, name: str) -> Denial | None:
    """Return the refusal of one of the instance's models."""
    denial = effective_policy.flaw(document.policy)
    if denial is not None:
        return denial
    try:
        first, *fallbacks = model_targets.of_instance(instance, document)
    except ModelsUnresolved:
        return None  # no run has a task
    return policy_check.of_models(document.policy, [model_targets.renamed(first, name), *fallbacks])


def bounded(
    run: AgentRun, instance: SympoziumInstance, document: AgentDocument | None
) -> tuple[AgentRun, SympoziumInstance]:
    """Return a run and its instance with the limits that count. Raises PolicyRefused and ModelsUnresolved."""
    policy = document.policy if document else None
    if policy is None:
        return run, instance
    if denial := policy_check.of_run(policy, run, model_targets.of_run(run, instance, document)):
        raise PolicyRefused(denial)
    return policy_check.bounded_run(policy, run), policy_check.bounded_instance(policy, instance)


def answer_ceiling(policy: EffectivePolicy | None, ceiling: int | None, members: Mapping[str, str]) -> int | None:
    """Return the most tokens of one answer where a request asks for several, which count together."""
    limit = effective_policy.limits(policy).output_tokens
    if limit is None:
        return ceiling
    choices = max(_count(members.get(name, "1")) for name in ("n", "best_of")) * _prompts(members.get("prompt", ""))
    return effective_policy.smallest((ceiling, max(1, limit // choices)))


def refuse_other_models(policy: EffectivePolicy | None, members: Iterable[str]) -> None:
    """Raise PolicyRefused for a member of a request with which gateways ask models of its own, where a policy bounds models."""
    for name in sorted(_OTHER_MODELS.intersection(members)):
        if denial := effective_policy.unnamed_models(policy, f"the request's field {name}"):
            raise PolicyRefused(denial)


def _prompts(text: str) -> int:
    """Return the number of prompts that a request completes; the most for what cannot be read."""
    if not text.startswith("["):
        return 1
    try:
        prompts: list[object] = json.loads(text)
    except (ValueError, RecursionError):
        return _MANY
    return max(1, sum(not isinstance(prompt, int) for prompt in prompts))  # numbers are the tokens of one prompt


def _count(text: str) -> int:
    """Return the number of answers that a member of a request asks for; the most for what only a lenient server reads as a number."""
    if text == "null":
        return 1
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else _MANY
