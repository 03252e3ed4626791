"""Callers of the console: tokens of service accounts, and what RBAC lets them do in the fake."""

from typing import Any

from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import TokenIssuer

from sympozium_api import names
from sympozium_api.resources import Object

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
PLURALS = (
    "sympoziuminstances",
    "agentruns",
    "skillpacks",
    "apikeys",
    "audits",
    "events",
    "sympoziumconfigs",
    "pods/log",
)


def user_of(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def account_token(issuer: TokenIssuer, namespace: str, name: str, **changes: Any) -> str:
    """A token as ``kubectl create token NAME --audience sympozium-console`` prints it."""
    kubernetes = {"namespace": namespace, "serviceaccount": {"name": name, "uid": "u"}}
    claims = {"aud": [names.CONSOLE_AUDIENCE], "sub": user_of(namespace, name), "kubernetes.io": kubernetes}
    return issuer.token("", name, **claims | changes)


def grant(
    kubernetes: FakeKubernetes,
    who: str,
    namespace: str,
    *,
    verbs: tuple[str, ...] = VERBS,
    plurals: tuple[str, ...] = PLURALS,
) -> None:
    """Let a user or a group do this in a namespace."""
    kubernetes.grants |= {(who, verb, plural, namespace) for verb in verbs for plural in plurals}


def namespace_object(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
