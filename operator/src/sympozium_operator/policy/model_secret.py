"""Secrets with a model's API key: which one a run may have, and whether it can be used (decision 0039)."""

from sympozium_api import effective, names
from sympozium_api.effective import EffectiveModel
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_operator.policy.conditions import ConditionUpdate


def failure(instance: SympoziumInstance, model: EffectiveModel, secret: Object | None) -> ConditionUpdate | None:
    """Return the reason why a model's Secret cannot be used; None if it can, or if the model needs none."""
    if model.secret is None:
        return None
    if effective.holds_api_keys(instance, model.secret):
        text = (
            f"spec.authRefs: the Secret {model.secret} holds API keys of callers, which no model may get; use another"
        )
        return _not_ready("SecretNotAllowed", text)
    if secret is None:
        return _not_ready("SecretNotFound", f"there is no Secret {model.secret} with the model's API key")
    keys = effective.key_names(model.provider)
    if not set(keys) & set(secret.get("data") or {}):
        text = f"the Secret {model.secret} has neither the key {keys[0]} nor {keys[1]}"
        return _not_ready("SecretKeyNotFound", text)
    return None


def refusal(instance: SympoziumInstance, run: AgentRun, secret: Object | None) -> str | None:
    """Return the reason why a run may not have the Secret that it names; None if it may, names none, or the Secret is missing."""
    name = run.spec.model.auth_secret_ref if run.spec.model else None
    if name is None:
        return None
    field, label = "spec.model.authSecretRef", f'{names.LABEL_MODEL_KEY}: "true"'
    if effective.holds_api_keys(instance, name):
        return f"{field}: the Secret {name} holds API keys of callers, which no model may get"
    if secret is None or (secret["metadata"].get("labels") or {}).get(names.LABEL_MODEL_KEY) == "true":
        return None
    if effective.calls_elsewhere(instance, run):
        return f"{field}: the Secret {name} has no label {label}, which a run with a baseURL of its own needs"
    if name not in {ref.secret for ref in instance.spec.auth_refs}:
        return f"{field}: the Secret {name} is not among the instance's authRefs and has no label {label}"
    return None


def _not_ready(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate("ModelReady", ok=False, reason=reason, message=message)
