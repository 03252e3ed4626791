"""Policies and instances for tests."""

from typing import Any

from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy_binding import Candidate, PolicySources, candidate, effective

NAMESPACE, OPERATORS = "team", "sympozium-system"


def policy_manifest(name: str = "bounds", namespace: str = NAMESPACE, /, **spec: Any) -> dict[str, Any]:
    """A SympoziumPolicy."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SympoziumPolicy", "metadata": metadata, "spec": spec}


def policy(name: str = "bounds", namespace: str = NAMESPACE, /, **spec: Any) -> Candidate:
    """A SympoziumPolicy as it is stored."""
    return candidate(policy_manifest(name, namespace, **spec))


def instance(policy_ref: str | None = None, **agent: Any) -> SympoziumInstance:
    """An instance in NAMESPACE."""
    spec: dict[str, Any] = {"agents": {"default": {"model": "gpt-4o", **agent}}}
    spec |= {"policyRef": policy_ref} if policy_ref else {}
    return SympoziumInstance.model_validate({"metadata": {"name": "assistant", "namespace": NAMESPACE}, "spec": spec})


def effective_policy(*specs: dict[str, Any]) -> EffectivePolicy:
    """The policy that holds for an instance that all of these bind."""
    own = tuple(policy(f"p{index}", appliesTo="all", **spec) for index, spec in enumerate(specs))
    found = effective(instance(), PolicySources(own))
    assert found is not None
    return found
