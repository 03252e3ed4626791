"""Verdicts of an effective policy on instances, of runs and of their models. Pure.

Limits lower what a spec says; all else that asks for more is refused.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sympozium_api import effective_policy
from sympozium_api.base import seconds
from sympozium_api.effective_policy import Denial, EffectivePolicy, ToolFacts
from sympozium_api.instance import AgentSpec, SympoziumInstance
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.run import AgentRun
from sympozium_api.tool import Tool
from sympozium_api.tool_address import AddressError, host_of

_AGENT = "spec.agents.default"


class FieldDenial(NamedTuple):
    """Refusal of what a field of a spec asks for."""

    field: str
    """Field of the instance or run."""
    denial: Denial

    def __str__(self) -> str:
        return f"{self.field}: {self.denial}"


def of_address(policy: EffectivePolicy | None, url: str) -> Denial | None:
    """Return the refusal of a base URL by its host; None if it may be called."""
    try:
        return effective_policy.listed(policy, "egressHosts", host_of(url))
    except AddressError as error:
        return effective_policy.unnamed_host(policy, f"an address that {error}")


def of_model(policy: EffectivePolicy | None, target: ResolvedModel) -> Denial | None:
    """Return the refusal of a model, its Provider or its address."""
    provider = target.ref or target.address_ref
    return effective_policy.model(policy, target.name, provider) or of_address(policy, target.base_url)


def of_models(policy: EffectivePolicy | None, targets: Iterable[ResolvedModel]) -> Denial | None:
    """Return the refusal of the first model that may not be called."""
    return next(filter(None, (of_model(policy, target) for target in targets)), None)


def of_tool(policy: EffectivePolicy | None, tool: Tool, function: str) -> Denial | None:
    """Return the refusal of a Tool; None if the policy lets agents be offered it and call it. Its address is among what counts."""
    spec = tool.spec
    facts = ToolFacts(
        function,
        builtin=spec.builtin.name if spec.builtin else None,
        signed=spec.signed is not None,
        command=spec.command is not None,
    )
    return effective_policy.tool(policy, facts) or (of_address(policy, spec.webhook.url) if spec.webhook else None)


def of_builtin(policy: EffectivePolicy | None, name: str) -> Denial | None:
    """Return the refusal of a built-in tool that an instance itself names."""
    return effective_policy.tool(policy, ToolFacts(name, name, of_instance=True))


def of_instance(
    policy: EffectivePolicy | None,
    instance: SympoziumInstance,
    targets: Iterable[ResolvedModel],
    images: Iterable[str] = (),
) -> FieldDenial | None:
    """Return the refusal of an instance as a whole: none of its agents may run. ``targets``: its model and that model's fallbacks."""
    if denial := effective_policy.flaw(policy):
        return FieldDenial("spec", denial)
    agent = instance.spec.agents.default
    for index, target in enumerate(targets):
        field = f"{_AGENT}.fallbackModels[{index - 1}]" if index else f"{_AGENT}.model"
        provider = target.ref or effective_policy.WITHOUT_PROVIDER
        if denial := effective_policy.listed(policy, "providers", provider):
            return FieldDenial(f"{_AGENT}.providerRef" if target.ref and not index else field, denial)
        if denial := effective_policy.model(policy, target.name, target.ref):
            return FieldDenial(field, denial)
        if denial := of_address(policy, target.base_url):
            return FieldDenial(f"{_AGENT}.baseURL" if agent.base_url and not index else field, denial)
    for image in images:
        if denial := effective_policy.listed(policy, "images", image):
            return FieldDenial("spec", denial)
    return None


def parts_of(
    policy: EffectivePolicy | None, instance: SympoziumInstance, provider: str | None
) -> Iterator[FieldDenial]:
    """Yield the refusals of parts of an instance, which are left out, so that the rest of it works. ``provider``: its Provider."""
    agent = instance.spec.agents.default
    named = {"allowedModels": agent.allowed_models, "embeddingModels": agent.embedding_models}
    for field, models in named.items():
        for index, name in enumerate(models):
            if denial := effective_policy.model(policy, name, provider):
                yield FieldDenial(f"{_AGENT}.{field}[{index}]", denial)
    for index, builtin in enumerate(agent.builtin_tools):
        if denial := of_builtin(policy, builtin):
            yield FieldDenial(f"{_AGENT}.builtinTools[{index}]", denial)


def of_run(
    policy: EffectivePolicy | None, run: AgentRun, targets: Iterable[ResolvedModel], images: Iterable[str] = ()
) -> Denial | None:
    """Return the refusal of a run: of a policy that is not in force, of one of its models, or of the run's own kind."""
    denial = effective_policy.flaw(policy)
    if denial is None and run.spec.parent is not None:
        denial = effective_policy.delegation(policy)
    denied = (effective_policy.listed(policy, "images", image) for image in images)
    return denial or of_models(policy, targets) or next(filter(None, denied), None)


def bounded_instance(policy: EffectivePolicy | None, instance: SympoziumInstance) -> SympoziumInstance:
    """Return an instance with the limits that count for it, and without the models and built-in tools that it may not use."""
    if policy is None:
        return instance
    agent, limits = instance.spec.agents.default, effective_policy.limits(policy)
    provider = agent.provider_ref
    changes = {
        "run_timeout": _shorter(agent.run_timeout, limits.timeout),
        "max_tokens": effective_policy.smallest((agent.max_tokens, limits.output_tokens)),
        "allowed_models": _allowed(policy, agent.allowed_models, provider),
        "embedding_models": _allowed(policy, agent.embedding_models, provider),
        "builtin_tools": [name for name in agent.builtin_tools if of_builtin(policy, name) is None],
        "limits": agent.limits.model_copy(update=_lowered(agent, policy)),
    }
    agents = instance.spec.agents.model_copy(update={"default": agent.model_copy(update=changes)})
    most = effective_policy.smallest((instance.spec.max_concurrent_runs, limits.concurrent_runs))
    spec = instance.spec.model_copy(update={"agents": agents, "max_concurrent_runs": most})
    return instance.model_copy(update={"spec": spec})


def bounded_run(policy: EffectivePolicy | None, run: AgentRun) -> AgentRun:
    """Return a run with the timeout that counts for it."""
    limit = effective_policy.limits(policy).timeout
    if run.spec.timeout is None or limit is None:
        return run
    spec = run.spec.model_copy(update={"timeout": _shorter(run.spec.timeout, limit)})
    return run.model_copy(update={"spec": spec})


def _shorter(duration: str, limit: str | None) -> str:
    return duration if limit is None else min(duration, limit, key=seconds)


def _allowed(policy: EffectivePolicy, models: list[str], provider: str | None) -> list[str]:
    return [name for name in models if effective_policy.model(policy, name, provider) is None]


def _lowered(agent: AgentSpec, policy: EffectivePolicy) -> dict[str, int | None]:
    own, limits = agent.limits, effective_policy.limits(policy)
    fields = ("iterations", "tool_calls", "input_tokens", "output_tokens")
    return {field: effective_policy.smallest((getattr(own, field), getattr(limits, field))) for field in fields}
