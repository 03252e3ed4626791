"""The effective policy of an instance: what all policies that bind it say together, the strictest first. Pure.

Operator, egress guard, web-proxies, console and runs server decide with these functions, and with nothing else.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sympozium_api import policy_patterns, service_names
from sympozium_api.base import ApiModel, seconds
from sympozium_api.policy import FetchUrlSettings, PolicyBounds, PolicyLimits

ListedField = Literal["tools", "builtins", "models", "providers", "images", "egressHosts"]
"""Fields of a policy with the lists ``allow`` and ``deny``."""
DenialKind = Literal[ListedField, "commands", "delegation", "requireSigned", "requireApproval", "policy"]
"""Kinds of denials, as metrics count them. ``policy``: a policy that binds is missing or not valid."""
WITHOUT_PROVIDER = "openai_compat"
"""Provider in the title of a model whose address an instance or run names itself. No Provider can have this name."""

_MATCHES: dict[str, Callable[[str, str], bool]] = {"models": policy_patterns.model_matches}
_OTHERS = policy_patterns.matches


class BoundPolicy(ApiModel):
    """One policy that binds an instance."""

    name: str
    """Name of the policy; of one in another namespace, the operator's, ``namespace/name``."""
    bounds: PolicyBounds = PolicyBounds()
    """Content of the policy."""
    flaw: str | None = None
    """Reason why the policy cannot be in force, which begins with the field. None: it is. With a flaw, everything is denied."""


class EffectivePolicy(ApiModel):
    """All policies that bind an instance."""

    policies: list[BoundPolicy] = []
    """Policies in the order of their names."""
    namespace: str | None = None
    """Namespace of the instance, in which a host without a dot is a Service; None: it is not known."""


@dataclass(frozen=True)
class Denial:
    """Refusal by a policy."""

    kind: DenialKind
    policy: str
    """Name of the policy."""
    field: str
    """Field of the policy, as ``models.deny``; the flaw of a policy that cannot be in force."""
    subject: str
    """Subject that is denied, for people, as ``the model openai_compat:gpt-4o``."""

    def __str__(self) -> str:
        if self.kind == "policy":
            return f"the SympoziumPolicy {self.policy} is not in force ({self.field}), so that everything is refused"
        return f"{self.subject} is not allowed by the SympoziumPolicy {self.policy} ({self.field})"


@dataclass(frozen=True)
class ToolFacts:
    """Properties of a tool that a policy looks at."""

    function: str
    """Function under which the model calls the tool."""
    builtin: str | None = None
    """Name of the built-in tool that carries out the calls, if one does."""
    of_instance: bool = False
    """True: the instance itself names the built-in tool, without a Tool."""
    signed: bool = False
    command: bool = False


def title_of(model: str, provider: str | None = None) -> str:
    """Return a model as policies name it. ``provider``: name of the Provider; None: there is none."""
    return f"{provider or WITHOUT_PROVIDER}:{model}"


def flaw(policy: EffectivePolicy | None) -> Denial | None:
    """Return the refusal of everything, if a policy that binds is missing or not valid."""
    for bound in _policies(policy):
        if bound.flaw is not None:
            return Denial("policy", bound.name, bound.flaw, "everything")
    return None


def listed(policy: EffectivePolicy | None, field: ListedField, value: str) -> Denial | None:
    """Return the refusal of a value by the lists of a field; None if all policies allow it."""
    subject = f"{_SUBJECTS[field]} {value}"
    for bound in _policies(policy):
        if bound.flaw is not None:
            return Denial("policy", bound.name, bound.flaw, subject)
        rules = getattr(bound.bounds, _ATTRIBUTES[field])
        if _is_denied(field, rules.deny, _writings(policy, field, value)):
            return Denial(field, bound.name, f"{field}.deny", subject)
        if rules.allow is not None and not any(_matches(field, pattern, value) for pattern in rules.allow):
            return Denial(field, bound.name, f"{field}.allow", subject)
    return None


def is_denied_as_service(policy: EffectivePolicy | None, host: str) -> bool:
    """Return true if a host with a dot, which only the cluster's resolver knows to be a Service's or not, is denied if it is one."""
    texts = _writings(policy, "egressHosts", f"{host}.svc")
    return any(_is_denied("egressHosts", bound.bounds.egress_hosts.deny, texts) for bound in _policies(policy))


def unnamed_host(policy: EffectivePolicy | None, subject: str) -> Denial | None:
    """Return the refusal of an address whose host cannot be told, where a policy bounds hosts."""
    for bound in _policies(policy):
        rules = bound.bounds.egress_hosts
        if bound.flaw is not None or rules.allow is not None or rules.deny:
            return Denial("egressHosts", bound.name, "egressHosts", subject)
    return None


def unnamed_models(policy: EffectivePolicy | None, subject: str) -> Denial | None:
    """Return the refusal of models that are named where no policy looks, where a policy bounds models."""
    for bound in _policies(policy):
        rules = bound.bounds.models
        if bound.flaw is not None or rules.allow is not None or rules.deny:
            return Denial("models", bound.name, "models", subject)
    return None


def model(policy: EffectivePolicy | None, name: str, provider: str | None = None) -> Denial | None:
    """Return the refusal of a model, or of its Provider; None if both are allowed."""
    return listed(policy, "providers", provider or WITHOUT_PROVIDER) or listed(
        policy, "models", title_of(name, provider)
    )


def tool(policy: EffectivePolicy | None, facts: ToolFacts) -> Denial | None:
    """Return the refusal of a tool; None if it may be offered and called."""
    if facts.builtin is not None and (denial := listed(policy, "builtins", facts.builtin)):
        return denial
    if not facts.of_instance and (denial := listed(policy, "tools", facts.function)):
        return denial
    subject = f"the tool {facts.function}"
    for bound in _policies(policy):
        bounds = bound.bounds
        if facts.command and not bounds.commands:
            return Denial("commands", bound.name, "commands", subject)
        if bounds.require_signed and not facts.signed and not facts.of_instance:
            return Denial("requireSigned", bound.name, "requireSigned", subject)
        if _is_denied("tools", bounds.require_approval, _writings(policy, "tools", facts.function)):
            return Denial("requireApproval", bound.name, "requireApproval", subject)
    return None


def delegation(policy: EffectivePolicy | None) -> Denial | None:
    """Return the refusal of a run that another run started; None if it is allowed."""
    for bound in _policies(policy):
        if not bound.bounds.delegation:
            return Denial("delegation", bound.name, "delegation", "a run with spec.parent")
    return None


def limits(policy: EffectivePolicy | None) -> PolicyLimits:
    """Return the smallest of all limits."""
    every = [bound.bounds.limits for bound in _policies(policy)]
    return PolicyLimits(
        iterations=smallest(each.iterations for each in every),
        tool_calls=smallest(each.tool_calls for each in every),
        input_tokens=smallest(each.input_tokens for each in every),
        output_tokens=smallest(each.output_tokens for each in every),
        timeout=min((each.timeout for each in every if each.timeout is not None), key=seconds, default=None),
        concurrent_runs=smallest(each.concurrent_runs for each in every),
    )


def fetch_url(policy: EffectivePolicy | None) -> FetchUrlSettings:
    """Return the smallest bounds of the built-in tool fetch_url."""
    every = [bound.bounds.builtin_settings.fetch_url for bound in _policies(policy)]
    return FetchUrlSettings(
        timeout_seconds=smallest(each.timeout_seconds for each in every),
        max_bytes=smallest(each.max_bytes for each in every),
    )


def smallest(values: Iterable[int | None]) -> int | None:
    """Return the smallest limit; None: there is none."""
    return min((value for value in values if value is not None), default=None)


_ATTRIBUTES: dict[ListedField, str] = {
    "tools": "tools",
    "builtins": "builtins",
    "models": "models",
    "providers": "providers",
    "images": "images",
    "egressHosts": "egress_hosts",
}
_SUBJECTS: dict[ListedField, str] = {
    "tools": "the tool",
    "builtins": "the built-in tool",
    "models": "the model",
    "providers": "the provider",
    "images": "the image",
    "egressHosts": "the host",
}


def _policies(policy: EffectivePolicy | None) -> Iterator[BoundPolicy]:
    return iter(policy.policies if policy else ())


def _matches(field: ListedField, pattern: str, value: str) -> bool:
    return any(_MATCHES.get(field, _OTHERS)(pattern, text) for text in _names(field, value))


def _is_denied(field: ListedField, patterns: Iterable[str], texts: list[str]) -> bool:
    matcher = _MATCHES.get(field, _OTHERS)
    written = [each for pattern in patterns for each in _pattern_writings(field, pattern)]
    return any(matcher(pattern, text) for pattern in written for text in texts)


def _writings(policy: EffectivePolicy | None, field: ListedField, value: str) -> list[str]:
    """Return a value as ``deny`` compares it, in all its writings."""
    texts = [*_names(field, value), *map(policy_patterns.folded, _names(field, value))]
    if field == "models":
        return [other for text in texts for other in policy_patterns.model_writings(text)]
    if field == "egressHosts":
        namespace = policy.namespace if policy else None
        return [other for text in texts for other in service_names.writings(text, namespace)]
    return texts


def _pattern_writings(field: ListedField, pattern: str) -> tuple[str, ...]:
    written = service_names.pattern_writings(pattern.casefold()) if field == "egressHosts" else (pattern.casefold(),)
    return pattern, *written


def _names(field: ListedField, value: str) -> tuple[str, ...]:
    return (value, policy_patterns.whole_image(value)) if field == "images" else (value,)
