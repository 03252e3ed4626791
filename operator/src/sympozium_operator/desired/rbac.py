"""Identity and rights of a web-proxy, and the Secrets with its API key and its session key."""

import base64
from collections.abc import Callable
from typing import Any

from sympozium_api import environment, names
from sympozium_api.base import owner_reference
from sympozium_api.resources import (
    CONFIG_MAPS,
    INSTANCES,
    ROLE_BINDINGS,
    ROLES,
    RUN_PARTS,
    RUNS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Object,
)
from sympozium_api.run import AgentRun
from sympozium_operator.desired import pod_parts
from sympozium_operator.desired.drift import with_applied_digest

AGENT_COMPONENT = "agent"
SERVER_COMPONENT = "web-proxy"


def server_access(run: AgentRun) -> list[Object]:
    """Return ServiceAccount, Role and RoleBinding of a server run. The Role has no verb on secrets, because keys are mounted (rule 4)."""
    name = run.metadata.name
    return [
        server_head(run, SERVICE_ACCOUNTS, name),
        server_head(run, ROLES, name) | {"rules": _rules(run.spec.agent_ref)},
        server_head(run, ROLE_BINDINGS, name)
        | {
            "roleRef": {"apiGroup": ROLES.group, "kind": ROLES.kind, "name": name},
            "subjects": [
                {"kind": SERVICE_ACCOUNTS.kind, "name": name, "namespace": run.metadata.namespace},
            ],
        },
    ]


def api_key(run: AgentRun, token: Callable[[], str]) -> Object:
    """Return the Secret with the generated API key; ``token`` returns 48 random hexadecimal digits."""
    value = base64.b64encode(f"sk-{token()}".encode()).decode()
    return with_applied_digest(api_key_head(run)) | {"type": "Opaque", "data": {environment.API_KEY_PREFIX: value}}


def api_key_head(run: AgentRun) -> Object:
    """Return the metadata of that Secret: the operator repairs its owner and labels, and leaves an edited key alone."""
    return server_head(run, SECRETS, names.api_key_secret(run.metadata.name))


def session_key(run: AgentRun, token: Callable[[], str]) -> Object:
    """Return the Secret with the generated session key, which nobody edits; ``token`` returns 64 random hexadecimal digits."""
    value = base64.b64encode(token().encode()).decode()
    data = {environment.SESSION_KEY_ENTRY: value}
    return with_applied_digest(session_key_head(run)) | {"type": "Opaque", "immutable": True, "data": data}


def session_key_head(run: AgentRun) -> Object:
    """Return the metadata of that Secret, which is all of it that the operator compares."""
    return server_head(run, SECRETS, names.session_key_secret(run.metadata.name))


def server_labels(run: AgentRun) -> dict[str, str]:
    """Return the labels of everything that belongs to a server run."""
    return names.labels(SERVER_COMPONENT, instance=run.spec.agent_ref, run=run.metadata.name)


def server_head(run: AgentRun, kind: Any, name: str) -> Object:
    """Return apiVersion, kind and metadata of an object that belongs to a server run."""
    return pod_parts.head(kind, name, run.metadata.namespace, labels=server_labels(run), owner=owner_reference(run))


def _rules(instance: str) -> list[Object]:
    return [
        {
            "apiGroups": [names.GROUP],
            "resources": [RUNS.plural],
            "verbs": ["create", "get", "list", "watch", "patch"],
        },
        {"apiGroups": [names.GROUP], "resources": [f"{RUNS.plural}/status"], "verbs": ["patch"]},
        {"apiGroups": [names.GROUP], "resources": [RUN_PARTS.plural], "verbs": ["create", "get"]},
        {
            "apiGroups": [names.GROUP],
            "resources": [INSTANCES.plural],
            "resourceNames": [instance],
            # list by name only, because a watch begins with it. get serves pods that ask before their watch has begun, and web-proxies of
            # 0.1.0, which read the instance for every pod while an upgrade replaces them.
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": [""],
            "resources": [CONFIG_MAPS.plural],
            "resourceNames": [names.installed_skills(instance)],
            "verbs": ["get", "list", "watch"],
        },
    ]
