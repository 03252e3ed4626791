"""Secrets with credentials that callers of the console send. Each is owned by an empty ConfigMap of its name.

The operator deletes a ConfigMap whose Secret no object names, and Kubernetes then deletes the Secret: so the operator needs no right
to list or delete Secrets. Values only, no client.
"""

import base64
import re
import secrets
from collections.abc import Iterable, Mapping

from sympozium_api import names
from sympozium_api.resources import Object

UNNAMED_SECONDS = 600.0
"""Seconds for which no object names a Secret before it is deleted."""
NAME = r"credentials-[0-9a-f]{20}"
"""Names of these Secrets."""


def new_name() -> str:
    """Return a name that no Secret has had, because the console must not replace one and cannot read which there are."""
    return f"credentials-{secrets.token_hex(10)}"


def is_name(text: str) -> bool:
    """Return true if a name is one of ``new_name``."""
    return re.fullmatch(NAME, text) is not None


def owner(namespace: str, name: str) -> Object:
    """Return the ConfigMap of a Secret, which is created before it."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(namespace, name)}


def secret(owner: Object, entries: Mapping[str, bytes], *, for_tools: bool) -> Object:
    """Return the Secret of a ConfigMap that exists. ``for_tools``: a Tool's webhook may name it."""
    metadata = owner["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": metadata["name"], "uid": metadata["uid"]}
    own = _metadata(metadata["namespace"], metadata["name"])
    if for_tools:
        own["labels"][names.LABEL_TOOL_KEY] = "true"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": own | {"ownerReferences": [reference]},
        "type": "Opaque",
        "immutable": True,
        "data": {entry: base64.b64encode(value).decode() for entry, value in entries.items()},
    }


def named_in(text: str, candidates: Iterable[str]) -> frozenset[str]:
    """Return the Secrets of these names that a text has, e.g. an object's spec: their names are random, so nothing else has them."""
    return frozenset(name for name in candidates if name in text)


def _metadata(namespace: str, name: str) -> Object:
    labels = names.labels("console") | {names.LABEL_CREDENTIALS: "true"}
    return {"name": name, "namespace": namespace, "labels": labels}
