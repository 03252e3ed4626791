"""Drift of a live object from the desired one, so that nothing is written when nothing changed."""

import hashlib
import json
from typing import Any

from sympozium_api.names import GROUP
from sympozium_api.resources import Object
from sympozium_operator.desired.quantity import InvalidQuantity, quantity

ANNOTATION_APPLIED = f"{GROUP}/applied"
"""Digest of what was applied last: it shows that a field is no longer desired, which the live object alone cannot show."""

_ATOMIC_MAP = "selector"
"""Selectors, which server-side apply replaces as a whole, because one more entry makes another selector."""
_GATEWAY_API = ("parentRefs", "matches", "backendRefs", "certificateRefs")
_ATOMIC = (
    "rules",
    "subjects",
    "command",
    "verbs",
    "resources",
    "resourceNames",
    "apiGroups",
    "sources",
    "items",
    *_GATEWAY_API,
)
"""Lists that server-side apply replaces as a whole; of other lists it owns only its own elements."""
_EXACT = ("podSelector", "ingress", "egress")
"""Fields of a NetworkPolicy that must match exactly, because an additional rule would open it."""


def with_applied_digest(desired: Object) -> Object:
    """Return the object with its own digest as an annotation."""
    digest = hashlib.sha256(json.dumps(desired, sort_keys=True).encode()).hexdigest()[:16]
    annotations = desired["metadata"].get("annotations", {}) | {ANNOTATION_APPLIED: digest}
    return desired | {"metadata": desired["metadata"] | {"annotations": annotations}}


def applied_digest(body: Object) -> str:
    """Return the digest that ``with_applied_digest`` wrote."""
    digest: str = body["metadata"]["annotations"][ANNOTATION_APPLIED]
    return digest


def has_drifted(live: Any, desired: Any, *, field: str = "") -> bool:
    """Return whether ``live`` lacks any of ``desired``. Other fields of ``live`` (defaults, other managers' fields) do not count."""
    if field in _EXACT:
        return bool((live or type(desired)()) != desired)
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return bool(desired)
        resized = field == _ATOMIC_MAP and len(live) != len(desired)
        return resized or any(has_drifted(live.get(key), value, field=key) for key, value in desired.items())
    if isinstance(desired, list):
        return _list_differs(live or [], desired, field)
    if live is None:
        return desired not in ("", 0, None) or desired is False  # the API server leaves out empty fields
    return bool(live != desired and not _same_amount(live, desired))


def _list_differs(live: list[Any], desired: list[Any], field: str) -> bool:
    if field in _ATOMIC or not all(isinstance(item, dict) for item in desired):
        return len(live) != len(desired) or any(map(has_drifted, live, desired))
    return any(all(has_drifted(element, item) for element in live) for item in desired)


def _same_amount(live: Any, desired: Any) -> bool:
    """Return whether two texts are the same quantity: the API server writes 1000m as 1."""
    try:
        return quantity(str(live)) == quantity(str(desired)) and isinstance(live, str)
    except InvalidQuantity:
        return False
