"""The policies that bind an instance, out of all in its namespace and in the operator's. Pure.

Where something cannot be told, the policy binds: an object that this version cannot read, a selector that is not one, labels that
may not be read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sympozium_api.base import seconds
from sympozium_api.effective_policy import BoundPolicy, EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy import NamespaceSelector, PolicyBounds, PolicySpec, SympoziumPolicy
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import Object

_LABEL_VALUE = r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)"
_LABEL_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_VALUE}")
_NAME_LABEL = "kubernetes.io/metadata.name"
"""Label that Kubernetes keeps equal to a namespace's name."""
MAX_BYTES = 128 * 1024
"""Longest JSON text of all policies that bind an instance, which its document ``agent.json`` holds."""


@dataclass(frozen=True)
class Candidate:
    """A policy as it was read."""

    namespace: str
    name: str
    spec: PolicySpec | None
    """Content; None: this version cannot read it."""
    flaw: str | None = None
    """Reason why the policy cannot be in force, which begins with the field."""


@dataclass(frozen=True)
class PolicySources:
    """All policies that may bind instances of one namespace."""

    own: tuple[Candidate, ...] = ()
    """Policies of the namespace."""
    installation: tuple[Candidate, ...] = ()
    """Policies of the operator's namespace."""
    labels: Mapping[str, str] | None = None
    """Labels of the namespace; None: they may not be read."""


def candidate(body: Object) -> Candidate:
    """Return a policy as it is stored, with the reason why it cannot be in force, if there is one."""
    namespace, name = body["metadata"].get("namespace", ""), body["metadata"]["name"]
    try:
        policy = read(SympoziumPolicy, body)
    except Unreadable as failure:
        return Candidate(namespace, name, None, failure.fields)
    return Candidate(namespace, name, policy.spec, flaw_of(policy.spec))


def flaw_of(spec: PolicySpec) -> str | None:
    """Return the reason why a policy cannot be in force, beginning with the field; None if it can."""
    if spec.limits.timeout is not None:
        try:
            seconds(spec.limits.timeout)
        except ValueError:
            return "spec.limits.timeout: write hours, minutes and seconds, such as 90s, 5m or 1h30m"
    return next(_selector_flaws(spec.namespace_selector), None) if spec.namespace_selector else None


def effective(instance: SympoziumInstance, sources: PolicySources) -> EffectivePolicy | None:
    """Return the policy that holds for an instance; None: no policy binds it."""
    namespace = instance.metadata.namespace
    return _all_of(
        [*_missing(instance, sources), *(_bound(each, namespace) for each in binding(instance, sources))], namespace
    )


def of_namespace(namespace: str, sources: PolicySources) -> EffectivePolicy | None:
    """Return the policy that holds for every instance of a namespace; None: no policy binds them all."""
    return _all_of([_bound(each, namespace) for each in _binding(namespace, None, sources)], namespace)


def _all_of(found: list[BoundPolicy], namespace: str) -> EffectivePolicy | None:
    if not found:
        return None
    policy = EffectivePolicy(policies=sorted(found, key=lambda each: each.name), namespace=namespace)
    if len(policy.model_dump_json(by_alias=True).encode()) <= MAX_BYTES:
        return policy
    text = f"spec: all policies that bind the instance have more than {MAX_BYTES} bytes together; write fewer patterns"
    return EffectivePolicy(policies=[BoundPolicy(name=found[0].name, flaw=text)])


def binding(instance: SympoziumInstance, sources: PolicySources) -> list[Candidate]:
    """Return the policies that bind an instance."""
    return _binding(instance.metadata.namespace, instance.spec.policy_ref, sources)


def _binding(namespace: str, policy_ref: str | None, sources: PolicySources) -> list[Candidate]:
    here = [each for each in sources.own if _binds_here(each, policy_ref)]
    from_there = [each for each in sources.installation if _selects(each, namespace, sources.labels)]
    return [*here, *(each for each in from_there if each not in here)]


def _missing(instance: SympoziumInstance, sources: PolicySources) -> list[BoundPolicy]:
    wanted = instance.spec.policy_ref
    if wanted is None or any(each.name == wanted for each in sources.own):
        return []
    return [BoundPolicy(name=wanted, flaw="spec.policyRef of the instance: there is no such SympoziumPolicy")]


def _binds_here(candidate: Candidate, policy_ref: str | None) -> bool:
    spec = candidate.spec
    return candidate.name == policy_ref or spec is None or spec.applies_to == "all"


def _selects(candidate: Candidate, namespace: str, labels: Mapping[str, str] | None) -> bool:
    if candidate.spec is None:
        return True
    selector = candidate.spec.namespace_selector
    return selector is not None and selects(selector, namespace, labels)


def _bound(candidate: Candidate, namespace: str) -> BoundPolicy:
    is_here = candidate.namespace == namespace
    name = candidate.name if is_here else f"{candidate.namespace}/{candidate.name}"
    spec = None if candidate.flaw else candidate.spec
    bounds = PolicyBounds(**{field: getattr(spec, field) for field in PolicyBounds.model_fields}) if spec else None
    return BoundPolicy(name=name, bounds=bounds or PolicyBounds(), flaw=candidate.flaw)


def selects(selector: NamespaceSelector, namespace: str, labels: Mapping[str, str] | None) -> bool:
    """Return true if a selector selects a namespace. ``labels`` None: only its name is known, and all else is taken to match."""
    if next(_selector_flaws(selector), None) is not None:
        return True
    known = {**(labels or {}), _NAME_LABEL: namespace}
    for key, value in selector.match_labels.items():
        if (labels is not None or key == _NAME_LABEL) and known.get(key) != value:
            return False
    for each in selector.match_expressions:
        if labels is None and each.key != _NAME_LABEL:
            continue
        is_there = each.key in known
        is_among = is_there and known[each.key] in each.values
        holds = {"In": is_among, "NotIn": not is_among, "Exists": is_there, "DoesNotExist": not is_there}
        if not holds[each.operator]:
            return False
    return True


def _selector_flaws(selector: NamespaceSelector) -> Iterator[str]:
    where = "spec.namespaceSelector"
    for key, value in selector.match_labels.items():
        if not _LABEL_KEY.fullmatch(key):
            yield f"{where}.matchLabels: {key[:64]!r} is not a label's key such as example.com/team"
        if value and not re.fullmatch(_LABEL_VALUE, value):
            yield f"{where}.matchLabels.{key[:64]}: write a label's value of A-Z, a-z, 0-9, -, _ and ."
    for index, each in enumerate(selector.match_expressions):
        path = f"{where}.matchExpressions[{index}]"
        if not _LABEL_KEY.fullmatch(each.key):
            yield f"{path}.key: {each.key[:64]!r} is not a label's key such as example.com/team"
        if (each.operator in ("In", "NotIn")) != bool(each.values):
            yield f"{path}.values: operators In and NotIn require values, Exists and DoesNotExist exclude them"
