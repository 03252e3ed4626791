"""Switching an instance's web endpoint on and off, with its values. Pure: one meaning for the console and kubectl's plugin."""

import copy
from collections.abc import Mapping
from typing import Any

from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.resources import Object
from sympozium_api.web_endpoint import MAX_RATE

_PARAMS = {
    "rate_limit_rpm": ("rateLimit", "requestsPerMinute"),
    "rate_limit_burst": ("rateLimit", "burstSize"),
    "rate_limit_reads": ("rateLimit", "readsPerMinute"),
    "hostname": ("hostname",),
    "auth_secret_ref": ("authSecretRef",),
}
"""Params of the skill, and the fields of ``webEndpoint`` that they override."""
_LONGEST_TEXT = 253
"""Characters that the fields take; a param may have more."""


def switched(spec: Object, *, enabled: bool, values: Mapping[str, Any] | None = None) -> Object:
    """Return an instance's spec with its web endpoint on or off, and with ``values`` of its ``webEndpoint``. Other skills stay.

    ``values`` is a merge patch (RFC 7386): None removes a value, so that the default holds. A value goes where it counts: into the
    skill's params if the skill has that param, else into the field. Off takes the skill out of the list. What its params say goes into
    the fields, so that the endpoint is the same when it is on again; a param that its field would refuse is dropped.
    """
    result, changes = copy.deepcopy(spec), copy.deepcopy(dict(values or {}))
    field: Object = result.pop("webEndpoint", None) or {}
    skill = next(filter(_is_web_endpoint, result.get("skills") or ()), None)
    if skill and enabled:
        _move_into_params(changes, skill.get("params") or {})
    elif skill:
        result["skills"] = [other for other in result["skills"] if not _is_web_endpoint(other)]
        _merge(field, _fields_of(skill.get("params") or {}))
    _merge(field, changes)
    if bool(field.get("enabled")) != enabled and not (skill and enabled):
        field["enabled"] = enabled
    return result | {"webEndpoint": field} if field else result


def _is_web_endpoint(skill: Object) -> bool:
    return skill.get("skillPackRef") == WEB_ENDPOINT_SKILL


def _move_into_params(changes: Object, params: Object) -> None:
    """Write each change into the param that overrides its field. A removal concerns both."""
    for param, (name, *member) in _PARAMS.items():
        parent, key = (changes[name], member[0]) if member and isinstance(changes.get(name), dict) else (changes, name)
        if param not in params or key not in parent:
            continue
        if parent[key] is None:
            del params[param]
        else:
            params[param] = str(parent.pop(key))


def _fields_of(params: Object) -> Object:
    """Return the fields that the params of a skill override."""
    fields: Object = {}
    for param, (name, *member) in _PARAMS.items():
        value = params.get(param)
        if value and member and value.isascii() and value.isdigit() and 1 <= int(value) <= MAX_RATE:
            fields.setdefault(name, {})[member[0]] = int(value)
        elif value and not member and len(value) <= _LONGEST_TEXT:
            fields[name] = value
    return fields


def _merge(target: Object, patch: Mapping[str, Any]) -> None:
    """Apply a merge patch (RFC 7386)."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict) and isinstance(target.get(name), dict):
            _merge(target[name], value)
        elif not isinstance(value, dict):
            target[name] = value
        elif filled := {key: item for key, item in value.items() if item is not None}:
            target[name] = filled
