"""Secrets with a model's API key: which one a run may have, and whether it can be used (decision 0039)."""

import base64
from collections.abc import Collection

from sympozium_api import effective, names
from sympozium_api.agent_protocol import find_unsendable
from sympozium_api.effective import EffectiveModel
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_operator.policy.conditions import ConditionUpdate


def refused_refs(instance: SympoziumInstance, callers: Collection[str]) -> ConditionUpdate | None:
    """Return the reason why an instance may not have a Secret in its ``authRefs``; None if it may have all of them.

    ``callers``: the Secrets that other instances of the namespace name for their callers' API keys.
    """
    for number, ref in enumerate(instance.spec.auth_refs):
        if _holds_api_keys(instance, ref.secret, callers):
            text = f"spec.authRefs[{number}]: the Secret {ref.secret} holds API keys of callers, which no model may get; use another"
            return _not_ready("SecretNotAllowed", text)
    return None


def without_refused_refs(instance: SympoziumInstance, callers: Collection[str]) -> SympoziumInstance:
    """Return the instance with those of its ``authRefs`` that it may have."""
    refs = [ref for ref in instance.spec.auth_refs if not _holds_api_keys(instance, ref.secret, callers)]
    if len(refs) == len(instance.spec.auth_refs):
        return instance
    return instance.model_copy(update={"spec": instance.spec.model_copy(update={"auth_refs": refs})})


def state(instance: SympoziumInstance, secret: Object | None) -> ConditionUpdate:
    """Return the condition ModelReady of an instance whose Secret is this one."""
    model = effective.model(instance)
    if failed := failure(model, secret):
        return failed
    if model.secret:
        text = f"the Secret {model.secret} has the model's API key, which was not tried"
        return ConditionUpdate("ModelReady", ok=True, reason="SecretFound", message=text)
    if model.base_url == effective.OPENAI_BASE_URL and not instance.spec.agents.default.provider_headers:
        text = f"{model.base_url} needs an API key: name a Secret in spec.authRefs, or another model server in baseURL"
        return _not_ready("SecretNeeded", text)
    text = f"spec.authRefs names no Secret, so {model.base_url} is called without an API key"
    return ConditionUpdate("ModelReady", ok=True, reason="NoSecretNeeded", message=text)


def failure(model: EffectiveModel, secret: Object | None) -> ConditionUpdate | None:
    """Return the reason why a model's Secret cannot be used; None if it can, or if the model has none."""
    if model.secret is None:
        return None
    if secret is None:
        return _not_ready("SecretNotFound", f"there is no Secret {model.secret} with the model's API key")
    keys, data = effective.key_names(model.provider), secret.get("data") or {}
    name = next((key for key in keys if key in data), None)
    if name is None:
        text = f"the Secret {model.secret} has neither the key {keys[0]} nor {keys[1]}"
        return _not_ready("SecretKeyNotFound", text)
    if (value := _value(data[name])) == "":
        return _not_ready("SecretKeyEmpty", f"the Secret {model.secret} has an empty value under the key {name}")
    if value is None or find_unsendable({"authorization": value}):
        text = f"the Secret {model.secret} has a value under the key {name} that is not one line of printable ASCII"
        return _not_ready("SecretKeyInvalid", text)
    return None


def _value(encoded: str) -> str | None:
    """Return an API key as agents read it, without blanks at its ends; None if it is not UTF-8."""
    try:
        return base64.b64decode(encoded).decode().strip()
    except ValueError:
        return None


def refusal(
    instance: SympoziumInstance, run: AgentRun, secret: Object | None, callers: Collection[str] = ()
) -> str | None:
    """Return the reason why a run may not have its Secret; None if it may, has none, or the Secret is missing.

    ``callers``: the Secrets that other instances of the namespace name for their callers' API keys.
    """
    named = run.spec.model.auth_secret_ref if run.spec.model else None
    name, label = effective.model(instance, run).secret, f'{names.LABEL_MODEL_KEY}: "true"'
    field = "spec.model.authSecretRef" if named else "the instance's authRefs"
    if name and _holds_api_keys(instance, name, callers):
        return f"{field}: the Secret {name} holds API keys of callers, which no model may get"
    if not named or secret is None or (secret["metadata"].get("labels") or {}).get(names.LABEL_MODEL_KEY) == "true":
        return None
    if effective.calls_elsewhere(instance, run):
        return f"{field}: the Secret {name} has no label {label}, which a run with a baseURL of its own needs"
    if name not in {ref.secret for ref in instance.spec.auth_refs}:
        return f"{field}: the Secret {name} is not among the instance's authRefs and has no label {label}"
    return None


def _holds_api_keys(instance: SympoziumInstance, secret: str, callers: Collection[str]) -> bool:
    return effective.holds_api_keys(instance, secret) or secret in callers


def _not_ready(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate("ModelReady", ok=False, reason=reason, message=message)
