"""Answers about the caller, and about the console as a caller sees it."""

from datetime import UTC, datetime
from typing import Literal, Self

from sympozium_api.base import ApiModel
from sympozium_domain.callers.caller import Caller


class CallerAnswer(ApiModel):
    """The caller of a request, and its rights in one namespace."""

    user: str
    kind: Literal["installation", "kubernetes", "key"]
    """Credentials of the caller: a token of the installation, a token of a user of Kubernetes or of the issuer, or an API key."""
    key_id: str | None
    """Id of the key, or of the token's subject, as the audit has it in ``actor``."""
    groups: list[str]
    """Groups of a user of Kubernetes, which RBAC counts."""
    scopes: list[str]
    """Scopes of an API key; other callers have all of them."""
    only_namespace: str | None
    """Namespace of an API key, which opens no other; null: the caller is not bound to one."""
    expires_at: datetime | None
    """Time at which the API key expires; null: never, or not known."""
    namespace: str
    """Namespace in which ``may`` holds."""
    may: dict[str, list[str]]
    """Verbs of RBAC that the caller may use, as far as a route takes them, by the plural name of the kind. Those on the SympoziumConfig
    hold in the installation's namespace, which has it."""

    @classmethod
    def of(cls, caller: Caller, namespace: str, may: dict[str, list[str]]) -> Self:
        """Return the answer about a caller."""
        return cls(
            user=caller.user,
            kind=caller.kind,
            key_id=caller.key_id,
            groups=list(caller.subject.groups) if caller.subject else [],
            scopes=sorted(caller.scopes),
            only_namespace=caller.namespace,
            expires_at=None if caller.expires_at is None else datetime.fromtimestamp(caller.expires_at, UTC),
            namespace=namespace,
            may=may,
        )


class NamespaceAnswer(ApiModel):
    """A namespace that the console serves."""

    name: str


class NamespaceList(ApiModel):
    """Namespaces in which the caller may list instances or runs."""

    items: list[NamespaceAnswer]
    """Namespaces, by name."""


class Features(ApiModel):
    """Parts of an installation that may be off."""

    archive: bool
    """True if there are a history and an audit."""
    oidc: bool
    """True if users of an issuer are callers."""


class VersionAnswer(ApiModel):
    """Version of the console."""

    version: str
    api_version: str
    """API group and version of the kinds."""
    features: Features
