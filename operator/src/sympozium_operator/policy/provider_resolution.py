"""Resolution of Providers into the models that agents ask."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256

from sympozium_api import effective, model_targets, provider_check
from sympozium_api.agent_document import AgentDocument
from sympozium_api.effective import InvalidSpec
from sympozium_api.instance import SympoziumInstance
from sympozium_api.provider import Provider
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun, RunModel
from sympozium_api.tool_check import Flaw
from sympozium_operator.policy.conditions import ConditionUpdate

MODEL_READY = "ModelReady"


@dataclass(frozen=True)
class ResolvedProvider:
    """A Provider as agents call it."""

    flaw: Flaw | None = None
    """Reason why agents cannot call it; its message begins with the field."""
    model: ResolvedModel | None = None
    """A model of it without its name; None if it has a flaw."""
    reachable: ConditionUpdate | None = None
    """Result of the last call that tried it, as condition of its instances; None: it was not tried."""

    @property
    def secrets(self) -> frozenset[str]:
        """Secrets that agents get from it."""
        return frozenset(filter(None, [self.model.secret, self.model.headers_secret])) if self.model else frozenset()


NOT_FOUND = ResolvedProvider(Flaw("ProviderNotFound", "it does not exist"))


@dataclass(frozen=True)
class InstanceModels:
    """Models of an instance that names a Provider or fallbacks."""

    models: tuple[ResolvedModel, ...] = ()
    """The instance's model, then its fallbacks. Empty: the instance names neither a Provider nor a fallback, or its model has a flaw."""
    condition: ConditionUpdate | None = None
    """Condition ModelReady of an instance that names a Provider; None: its Secret decides."""
    reachable: ConditionUpdate | None = None
    """Condition ModelReachable of an instance that names a Provider; None: there is none."""

    @property
    def document(self) -> AgentDocument | None:
        """A document that has the models alone; None: there are none."""
        return AgentDocument(models=list(self.models)) if self.models else None

    @property
    def failure(self) -> str | None:
        """Reason why no run of the instance can have its model; None: there is none."""
        return None if self.condition is None or self.condition.ok else self.condition.message


PLAIN = InstanceModels()


def resolve(
    provider: Provider,
    secret: Object | None,
    headers: Object | None,
    flaw: Flaw | None,
    reachable: ConditionUpdate | None = None,
) -> ResolvedProvider:
    """Return a Provider as agents call it. ``secret`` and ``headers`` are the metadata of the Secrets that it names, if they exist;
    ``flaw`` is the reason why it is not accepted.
    """
    if flaw is None and not provider.spec.enabled:
        flaw = Flaw("ProviderDisabled", "spec.enabled: it is switched off")
    if flaw is not None:
        return ResolvedProvider(flaw, reachable=reachable)
    spec, name = provider.spec, provider.metadata.name
    versions = [body["metadata"]["resourceVersion"] for body in (secret, headers) if body]
    model = ResolvedModel(
        provider=spec.type,
        ref=name,
        name="",
        title=f"{name}:",
        base_url=provider_check.base_url(provider),
        api_version=spec.api_version,
        headers=spec.headers,
        secret=spec.secret_ref,
        headers_secret=spec.headers_secret_ref,
        version=sha256("/".join(versions).encode()).hexdigest()[:16] if versions else None,
    )
    return ResolvedProvider(model=model, reachable=reachable)


def flaw_of(provider: Provider, secret: Object | None, headers: Object | None) -> Flaw | None:
    """Return the reason why a Provider is not accepted, as far as its spec and its Secrets' metadata show; None if it is.

    Disabled is no reason.
    """
    spec = provider.spec
    if flaw := provider_check.of_spec(provider):
        return flaw
    for field, name, body in (
        ("secretRef", spec.secret_ref, secret),
        ("headersSecretRef", spec.headers_secret_ref, headers),
    ):
        if name and (flaw := provider_check.of_secret(f"spec.{field}", name, body)):
            return flaw
    return None


def of_instance(
    instance: SympoziumInstance, providers: Mapping[str, ResolvedProvider], callers: Collection[str] = ()
) -> InstanceModels:
    """Return the models of an instance. ``callers``: Secrets that other instances name for their callers' API keys."""
    agent = instance.spec.agents.default
    if not model_targets.is_resolved_by_operator(instance):
        return PLAIN
    if agent.provider_ref is None:
        first, reachable = model_targets.plain(instance), None
    else:
        if failed := conflict(instance):
            return InstanceModels(condition=_not_ready("InvalidSpec", failed))
        found = _usable(instance, agent.provider_ref, providers, callers)
        if found.model is None:
            return InstanceModels(condition=_flawed("spec.agents.default.providerRef", agent.provider_ref, found))
        first, reachable = model_targets.renamed(found.model, agent.model), found.reachable
    models, left_out = [first], []
    for number, fallback in enumerate(agent.fallback_models):
        name, model = model_targets.fallback_parts(fallback)
        found = _usable(instance, name, providers, callers) if name else ResolvedProvider(model=first)
        if found.model is None:
            left_out.append(_flawed(f"spec.agents.default.fallbackModels[{number}]", name, found).message)
        else:
            models.append(model_targets.renamed(found.model, model))
    unique = {model.title: model for model in models}
    return InstanceModels(tuple(unique.values()), _ready(agent.provider_ref, first, left_out), reachable)


def conflict(instance: SympoziumInstance) -> str | None:
    """Return the reason why an instance's model is ambiguous; None: it is not."""
    agent = instance.spec.agents.default
    if agent.provider_ref is None:
        return None
    for field, is_set in (("spec.agents.default.baseURL", agent.base_url), ("spec.authRefs", instance.spec.auth_refs)):
        if is_set:
            return f"{field}: not used with spec.agents.default.providerRef, whose Provider has address and key; remove one"
    return None


def refuse_conflict(instance: SympoziumInstance) -> None:
    """Raise InvalidSpec if an instance's model is ambiguous."""
    if reason := conflict(instance):
        raise InvalidSpec(reason)


def of_run(
    run: AgentRun, model: str, found: ResolvedProvider, callers: Collection[str], instance: SympoziumInstance
) -> ResolvedModel | str:
    """Return the model of the Provider that a run names, or the reason why the run cannot have it."""
    own = run.spec.model or RunModel()
    field, name = ("providerRef", own.provider_ref) if own.provider_ref else ("provider", own.provider or "")
    usable = _usable(instance, name, {name: found}, callers)
    return (
        model_targets.renamed(usable.model, model)
        if usable.model
        else _flawed(f"spec.model.{field}", name, usable).message
    )


def _usable(
    instance: SympoziumInstance, name: str, providers: Mapping[str, ResolvedProvider], callers: Collection[str]
) -> ResolvedProvider:
    """Return a Provider, with a flaw if one of its Secrets holds API keys of callers."""
    found = providers.get(name, NOT_FOUND)
    for secret in sorted(found.secrets):
        if secret in callers or effective.holds_api_keys(instance, secret):
            text = f"its Secret {secret} holds API keys of callers, which no model may get"
            return ResolvedProvider(Flaw("SecretNotAllowed", text))
    return found


def _flawed(field: str, name: str, found: ResolvedProvider) -> ConditionUpdate:
    flaw = found.flaw or Flaw("ProviderNotFound", "it does not exist")
    return _not_ready(flaw.reason, f"{field}: the Provider {name} cannot be called: {flaw.message}")


def _ready(ref: str | None, first: ResolvedModel, left_out: list[str]) -> ConditionUpdate | None:
    """Return the condition of an instance whose model can be called; fallbacks that cannot are named, and nothing waits for them."""
    if ref is None and not left_out:
        return None
    if left_out:
        return ConditionUpdate(MODEL_READY, ok=True, reason="FallbackLeftOut", message="; ".join(left_out))
    text = f"the Provider {ref} has the model, at {first.base_url}"
    return ConditionUpdate(MODEL_READY, ok=True, reason="ProviderAccepted", message=text)


def _not_ready(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate(MODEL_READY, ok=False, reason=reason, message=message)
