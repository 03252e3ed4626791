"""Bodies of Kubernetes Events (``kubectl describe``). Pure.

core/v1 and not events.k8s.io: kubectl shows the count of the former, and both are one object to the API server.
"""

import secrets
from datetime import datetime

from sympozium_api.base import Resource
from sympozium_api.resources import EVENTS, Object
from sympozium_api.timestamps import timestamp

_LONGEST_MESSAGE = 1024
"""Characters that the API server takes."""


def event_body(subject: Resource, *, type: str, reason: str, message: str, component: str, now: datetime) -> Object:  # noqa: A002 - the field's name
    """Return an Event about an object, with a new name; ``reason`` is in CamelCase, ``component`` says who emits the Event."""
    namespace, name = subject.key
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{name}.{secrets.token_hex(8)}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "namespace": namespace,
            "name": name,
            "uid": subject.metadata.uid,
        },
        "type": type,
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE],
        "source": {"component": component},
        "reportingComponent": component,
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
    }
