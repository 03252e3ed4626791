"""The models that a run asks, in order: the run's own or its instance's, then the fallbacks. Pure.

Without a Provider and a fallback they follow from the instance and the run alone. Else the operator has resolved them: for the
instance in its document, and for a run that names a Provider in the run's status.
"""

from dataclasses import dataclass
from typing import Any, Self

from sympozium_api import effective
from sympozium_api.agent_document import AgentDocument
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.run import AgentRun, RunModel


class ModelsUnresolved(Exception):
    """The instance names a Provider, and the operator has not resolved it, or cannot; ModelReady has the reason."""


@dataclass(frozen=True)
class RunModels:
    """Models that a run asks, in order."""

    targets: tuple[ResolvedModel, ...]
    is_elsewhere: bool
    """True if the first is at another address than the instance's own."""

    @classmethod
    def plain(cls, run: AgentRun, instance: SympoziumInstance) -> Self:
        """Return the model of a run that follows from run and instance without any Provider."""
        return cls((plain(instance, run),), effective.calls_elsewhere(instance, run))

    @classmethod
    def of(cls, run: AgentRun, instance: SympoziumInstance, document: AgentDocument | None) -> Self:
        """Return the models that a run asks. Raises ModelsUnresolved."""
        targets = of_run(run, instance, document)
        return cls(tuple(targets), is_elsewhere(targets[0], instance, document))


def is_resolved_by_operator(instance: SympoziumInstance) -> bool:
    """Return true if the instance's models are in its document."""
    agent = instance.spec.agents.default
    return agent.provider_ref is not None or bool(agent.fallback_models)


def of_instance(instance: SympoziumInstance, document: AgentDocument | None) -> list[ResolvedModel]:
    """Return the models of an instance. Raises ModelsUnresolved."""
    if document is not None and document.models:
        return document.models
    if instance.spec.agents.default.provider_ref is not None:
        raise ModelsUnresolved(f"the Provider {instance.spec.agents.default.provider_ref} is not ready")
    return [plain(instance)]


def of_run(run: AgentRun, instance: SympoziumInstance, document: AgentDocument | None) -> list[ResolvedModel]:
    """Return the models that a run asks. Raises ModelsUnresolved."""
    own = run.spec.model
    if own is None:
        return of_instance(instance, document)
    if run.status.target is not None or own.provider_ref:
        return [run.status.target or _of_own_provider(own, instance, document)]
    if own.base_url:
        return [plain(instance, run)]
    if own.provider and not own.auth_secret_ref and not is_of_instance(own, instance):
        if instance.spec.agents.default.provider_ref is not None:
            raise ModelsUnresolved(f"the Provider {own.provider} is not ready")
        return [plain(instance, run)]
    first, *fallbacks = of_instance(instance, document)
    if own.auth_secret_ref or own.provider:  # another key for the same address
        return [_with_own_key(first, instance, run)]
    return [renamed(first, own.model), *fallbacks] if own.model else [first, *fallbacks]


def _of_own_provider(own: RunModel, instance: SympoziumInstance, document: AgentDocument | None) -> ResolvedModel:
    """Return a model of the instance's own Provider for a run that names the Provider."""
    if own.provider_ref != instance.spec.agents.default.provider_ref:
        raise ModelsUnresolved(f"the Provider {own.provider_ref} is not ready")
    first = of_instance(instance, document)[0]
    return renamed(first, own.model or first.name)


def fallback_parts(fallback: str) -> tuple[str, str]:
    """Return Provider and model of a fallback; without a Provider it is a model of the instance's own server."""
    name, colon, model = fallback.partition(":")
    return (name, model) if colon else ("", fallback)


def named_models(instance: SympoziumInstance) -> dict[str, str]:
    """Return the Providers that an instance names, each with the first model that it names of it."""
    agent = instance.spec.agents.default
    named = {agent.provider_ref: agent.model} if agent.provider_ref else {}
    for provider, model in map(fallback_parts, agent.fallback_models):
        if provider:
            named.setdefault(provider, model)
    return named


def is_of_instance(own: RunModel, instance: SympoziumInstance) -> bool:
    """Return true if the provider that a run names is one of the instance's ``authRefs``."""
    return any(ref.provider == own.provider for ref in instance.spec.auth_refs)


def names_a_provider(run: AgentRun, instance: SympoziumInstance) -> str | None:
    """Return the name of the Provider that a run may mean; None: it means none, because its provider only selects a key."""
    own = run.spec.model
    if own is not None and own.provider_ref:
        return own.provider_ref
    if own is None or own.base_url or own.auth_secret_ref or is_of_instance(own, instance):
        return None
    return own.provider


def is_elsewhere(target: ResolvedModel, instance: SympoziumInstance, document: AgentDocument | None) -> bool:
    """Return true if a model is at another address, or has another Provider, than the instance's own. It gets none of its headers."""
    try:
        own = of_instance(instance, document)[0]
    except ModelsUnresolved:
        return True
    return (target.base_url, target.ref) != (own.base_url, own.ref)


def plain(instance: SympoziumInstance, run: AgentRun | None = None) -> ResolvedModel:
    """Return the model that follows from an instance and a run without any Provider."""
    model = effective.model(instance, run)
    title = f"{model.provider}:{model.name}"
    return ResolvedModel(name=model.name, title=title[:510], base_url=model.base_url, secret=model.secret)


def renamed(model: ResolvedModel, name: str) -> ResolvedModel:
    """Return another model of the same server."""
    provider = model.title.partition(":")[0]
    return model.model_copy(update={"name": name, "title": f"{provider}:{name}"})


def _with_own_key(first: ResolvedModel, instance: SympoziumInstance, run: AgentRun) -> ResolvedModel:
    """Return a model of the instance's server that is called with the run's key; of a Provider's credentials none is sent."""
    own = effective.model(instance, run)
    without: dict[str, Any] = {
        "ref": None,
        "address_ref": first.ref,
        "secret": own.secret,
        "headers_secret": None,
    }
    return renamed(first, own.name).model_copy(update=without)
