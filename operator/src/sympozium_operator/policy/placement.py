"""Placement of a pod: the set of nodes that it may go to and the size that it needs there, as a short text to compare. Pure."""

import hashlib
import json
from collections import defaultdict
from decimal import Decimal

from sympozium_api.resources import Object
from sympozium_operator.desired.quantity import InvalidQuantity, quantity

_FIELDS = ("nodeSelector", "affinity", "runtimeClassName", "schedulerName")
_ADDED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Tolerations that admission adds to every pod."""


def placement(pod_spec: Object) -> str:
    """Return the placement of a pod's spec. Pods with the same one find the same nodes full."""
    fields = {name: value for name in _FIELDS if (value := pod_spec.get(name))}
    if fields.get("schedulerName") == "default-scheduler":
        del fields["schedulerName"]
    tolerations = [
        json.dumps(toleration, sort_keys=True)
        for toleration in pod_spec.get("tolerations") or []
        if not (toleration.get("key") in _ADDED and toleration.get("effect") == "NoExecute")
    ]
    text = json.dumps([fields, sorted(tolerations), _requests(pod_spec)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _requests(pod_spec: Object) -> dict[str, str]:
    """Return the sums of the containers' requests; a limit without a request is one for Kubernetes too."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for container in [*(pod_spec.get("initContainers") or []), *(pod_spec.get("containers") or [])]:
        resources = container.get("resources") or {}
        for name, amount in ((resources.get("limits") or {}) | (resources.get("requests") or {})).items():
            sums[name] += _number(amount)
    return {name: f"{amount.normalize():f}" for name, amount in sums.items() if amount}


def _number(amount: object) -> Decimal:
    try:
        return quantity(str(amount))
    except InvalidQuantity:
        return Decimal()
