"""Right of the egress guard in one namespace: ``get`` on exactly the Secrets that its Tools and ToolBindings name."""

from collections.abc import Sequence

from sympozium_api import names
from sympozium_api.resources import ROLE_BINDINGS, ROLES, SECRETS, SERVICE_ACCOUNTS, Object, ResourceType

EGRESS_COMPONENT = "egress"
"""Component label of the egress guard's pods, which the chart sets, and of its rights."""


def secret_access(namespace: str, guard_namespace: str, secrets: Sequence[str]) -> list[Object]:
    """Return Role and RoleBinding. Without Secrets the Role grants nothing."""
    rule = {"apiGroups": [""], "resources": [SECRETS.plural], "resourceNames": list(secrets), "verbs": ["get"]}
    return [
        _head(ROLES, namespace) | {"rules": [rule] if secrets else []},
        _head(ROLE_BINDINGS, namespace)
        | {
            "roleRef": {"apiGroup": ROLES.group, "kind": ROLES.kind, "name": names.EGRESS},
            "subjects": [{"kind": SERVICE_ACCOUNTS.kind, "name": names.EGRESS, "namespace": guard_namespace}],
        },
    ]


def _head(kind: ResourceType, namespace: str) -> Object:
    """Return the metadata. The objects have no owner, because all Tools of the namespace share them."""
    metadata: Object = {"name": names.EGRESS, "namespace": namespace, "labels": names.labels(EGRESS_COMPONENT)}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
