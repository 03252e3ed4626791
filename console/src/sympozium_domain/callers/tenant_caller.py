"""The caller of a dialect whose callers belong to one tenant, which is a namespace."""

from dataclasses import dataclass

from sympozium_domain.callers.caller import Caller


@dataclass(frozen=True)
class TenantCaller:
    """The caller of a request, in its tenant."""

    namespace: str
    """Namespace of the tenant: no object of another one is the caller's."""
    tenant_id: str
    """Id of the tenant, as answers have it."""
    user: str
    """User whom the request is made for, at most ``MAX_USER`` characters."""
    key_id: str
    """Id of the caller's key; for a token without one, a pseudonym of tenant and user."""
    scopes: frozenset[str] = frozenset()
    expires_at: float | None = None
    """Time at which the caller's key expires, in seconds since 1970; None: never, or the token names no key."""

    @property
    def as_caller(self) -> Caller:
        """The caller as the other dialects know it: with a key of its namespace."""
        return Caller(self.user, self.key_id, self.scopes, namespace=self.namespace, expires_at=self.expires_at)
