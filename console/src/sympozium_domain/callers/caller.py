"""The caller of a request, whatever it has sent to prove its identity."""

from dataclasses import dataclass
from typing import Literal

from sympozium_api.api_key import SCOPES

MAX_USER = 253
"""Characters of a user's name that are kept: as many as a run has room for."""


@dataclass(frozen=True)
class Subject:
    """A user of Kubernetes, as RBAC knows it."""

    user: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Caller:
    """The caller of a request. Exactly one of ``is_admin``, ``subject`` and ``namespace`` tells what it may do."""

    user: str
    """User whom the request is made for, at most ``MAX_USER`` characters: in runs and in the audit."""
    key_id: str | None = None
    """Id of the caller's key, or pseudonym of its token's subject: in logs, and in the audit as the actor."""
    scopes: frozenset[str] = frozenset()
    """Scopes of an API key. Callers of the other kinds have those that Kubernetes' rights cannot name: all."""
    is_admin: bool = False
    """True: the caller may do all that the console may."""
    subject: Subject | None = None
    """User of Kubernetes whose rights the caller has."""
    namespace: str | None = None
    """The only namespace in which the caller's scopes count; None: the caller has no API key."""
    expires_at: float | None = None
    """Time at which the caller's key expires, in seconds since 1970; None: never, or not known."""

    @property
    def kind(self) -> Literal["installation", "kubernetes", "key"]:
        """Kind of credentials that the caller has."""
        return "installation" if self.is_admin else "kubernetes" if self.subject else "key"

    @property
    def identity(self) -> str:
        """Text that all keys of a user share, and no user of another kind, whatever its name."""
        return f"{self.kind}/{self.subject.user if self.subject else self.user}"


def admin(key_id: str) -> Caller:
    """Return the caller with a token of the installation."""
    return Caller(key_id, key_id, frozenset(SCOPES), is_admin=True)


def kubernetes_user(subject: Subject, key_id: str) -> Caller:
    """Return the caller with the rights of a user of Kubernetes."""
    return Caller(subject.user[:MAX_USER], key_id, frozenset(SCOPES), subject=subject)
