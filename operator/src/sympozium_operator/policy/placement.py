"""Placement of a pod: the set of nodes that it may go to, as a short text to compare. Pure."""

import hashlib
import json

from sympozium_api.resources import Object

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
    text = json.dumps([fields, sorted(tolerations)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
