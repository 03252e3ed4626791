"""An instance's state in words, and its web endpoint as its status reports it. Pure."""

import base64
import binascii
from typing import Any

from sympozium_api import names
from sympozium_api.resources import Object

_KEY = "api-key"
"""Beginning of the entries of a Secret that are API keys; the generated one has this name."""


def phase_of(body: Object) -> str:
    """Return the phase that the operator reports; empty: none yet."""
    return str(_status(body).get("phase") or "")


def endpoint_of(instance: Object) -> Object:
    """Return the observed state of an instance's web endpoint; {} for one that has none."""
    return _status(instance).get("webEndpoint") or {}


def is_observed(instance: Object) -> bool:
    """Return true if the status describes the current spec."""
    return bool(_status(instance).get("observedGeneration") == instance["metadata"].get("generation"))


def is_stalled(instance: Object) -> bool:
    """Return true if only another spec can make the instance ready."""
    conditions = _status(instance).get("conditions") or ()
    return any((condition.get("type"), condition.get("status")) == ("Stalled", "True") for condition in conditions)


def problem_of(instance: Object) -> str:
    """Return reason and message of the condition that says why an instance is not ready; empty: it is ready."""
    for condition in _status(instance).get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return "" if phase_of(instance) else "the operator has not seen it yet"


def secret_of_keys(instance: Object) -> str:
    """Return the name of the Secret with the API keys of an instance."""
    generated = names.api_key_secret(names.web_endpoint_run(instance["metadata"]["name"]))
    return str(endpoint_of(instance).get("authSecretName") or generated)


def service_of(instance: Object) -> str:
    """Return the name of the Service of an instance's web endpoint."""
    default = names.server(names.web_endpoint_run(instance["metadata"]["name"]))
    return str(endpoint_of(instance).get("serviceName") or default)


def keys_in(secret: Object) -> dict[str, str]:
    """Return the API keys in a Secret by entry, the generated one first."""
    entries = {name: value for name, value in (secret.get("data") or {}).items() if name.startswith(_KEY)}
    found = {name: _decoded(entries[name]) for name in sorted(entries, key=lambda name: (name != _KEY, name))}
    return {name: key for name, key in found.items() if key}


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(value).decode().strip()
    except (binascii.Error, ValueError, TypeError):
        return ""


def _status(body: Object) -> Object:
    status: Object = body.get("status") or {}
    return status
