"""Tokens that callers get for their API keys: JWTs with a secret that all replicas have, and so may others that sign them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from sympozium_api import names
from sympozium_api.clock import Clock
from sympozium_domain.callers.caller import MAX_USER, Caller
from sympozium_domain.callers.credentials import Unauthenticated
from sympozium_domain.callers.key_holders import KeyHolders
from sympozium_domain.callers.namespaces import Namespaces
from sympozium_domain.callers.scope_rights import held
from sympozium_domain.callers.secret_files import SecretFiles
from sympozium_domain.callers.tenant_caller import TenantCaller

TOKEN_SECONDS = 3600
"""Seconds for which a token is valid."""
LEAST_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes that a secret needs at least, by algorithm (RFC 7518, section 3.2)."""
SCOPES = frozenset({names.TOOLS_READ, names.TOOLS_WRITE})
"""Scopes that a token may have. Those of other dialects do not count, so that who signs tokens cannot reach these."""
_REQUIRED = ("sub", "tenant_id", "scopes", "iss", "aud")
_DIGEST_DIGITS = 16


class NoSecret(Exception):
    """Lack of a secret, without which no token can be signed or verified."""


class UnknownTenant(Exception):
    """A key whose namespace is no tenant."""


@dataclass(frozen=True)
class TokenSettings:
    """Content that all tokens have in common."""

    algorithm: str = "HS256"
    issuer: str = "agent-platform"
    audience: str = "agent-platform"


@dataclass(frozen=True)
class AccessTokens:
    """Issuer and verifier of tokens. Every method raises ApiError and ApiUnavailable, and NoSecret while there is no secret."""

    settings: TokenSettings
    secrets: SecretFiles
    holders: KeyHolders
    namespaces: Namespaces
    clock: Clock

    async def issue(self, caller: Caller) -> str:
        """Return a token for the caller with an API key. Raises UnknownTenant."""
        tenant_id = await self.namespaces.tenant_id(caller.namespace or "")
        if tenant_id is None:
            raise UnknownTenant
        now = int(self.clock.now().timestamp())
        claims = {
            "sub": caller.user,
            "tenant_id": tenant_id,
            "scopes": sorted(caller.scopes & SCOPES),
            "iss": self.settings.issuer,
            "aud": self.settings.audience,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        } | ({"key_id": caller.key_id} if caller.key_id else {})
        return jwt.encode(claims, self._secrets()[0], algorithm=self.settings.algorithm)

    async def caller(self, token: str) -> TenantCaller:
        """Return the caller of a token. Raises Unauthenticated, and NotJudged while the keys are not read."""
        claims = self._claims(token)
        user, tenant_id, scopes = claims["sub"], claims["tenant_id"], _scopes(claims["scopes"])
        if not (isinstance(user, str) and 0 < len(user) <= MAX_USER and user.isprintable()):
            raise Unauthenticated("The claim sub is not the name of a user.")
        namespace = await self.namespaces.of_tenant(tenant_id) if isinstance(tenant_id, str) else None
        if namespace is None:
            raise Unauthenticated("The claim tenant_id names no tenant.")
        key_id = claims.get("key_id")
        if key_id is None:
            return TenantCaller(namespace, tenant_id, user, _pseudonym(tenant_id, user), scopes)
        if not isinstance(key_id, str):
            raise Unauthenticated("The claim key_id is not a text.")
        holder = await self.holders.holder(namespace, key_id)
        if holder is None or holder.user != user:
            raise Unauthenticated("The claim key_id names no key of this user and tenant.", key_id, namespace=namespace)
        both = held(scopes) & held(holder.scopes)
        return TenantCaller(namespace, tenant_id, user, key_id, both, holder.expires_at)

    def _secrets(self) -> tuple[bytes, ...]:
        secrets = self.secrets.current()
        if not secrets:
            raise NoSecret
        return secrets

    def _claims(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token that is valid now, by the secret that has signed it. Raises Unauthenticated."""
        failure: Exception | None = None
        for secret in self._secrets():
            try:
                claims = self._verified(token, secret)
            except (jwt.PyJWTError, RecursionError, ValueError) as error:
                failure = error
            else:
                self._refuse_times(claims)
                return claims
        raise Unauthenticated(f"The token is not valid: {failure}") from failure

    def _verified(self, token: str, secret: bytes) -> dict[str, Any]:
        return jwt.decode(
            token,
            secret,
            algorithms=[self.settings.algorithm],
            audience=self.settings.audience,
            issuer=self.settings.issuer,
            options={"require": list(_REQUIRED), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )

    def _refuse_times(self, claims: Mapping[str, Any]) -> None:
        now = self.clock.now().timestamp()
        if "exp" in claims and not now < _time(claims, "exp"):  # nor for a NaN
            raise Unauthenticated("The token has expired.")
        if "nbf" in claims and not now >= _time(claims, "nbf"):
            raise Unauthenticated("The token is not valid yet.")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated(f"The claim {name} is not a time in seconds since 1970.")
    return value


def _scopes(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(scope, str) for scope in value):
        raise Unauthenticated("The claim scopes is not a list of texts.")
    return frozenset(value) & SCOPES


def _pseudonym(tenant_id: str, user: str) -> str:
    """Return the id, in logs and limits, of callers whose token names no key. The digest is of both texts and where they meet."""
    digest = hashlib.sha256(f"{len(tenant_id)}/{tenant_id}/{user}".encode()).hexdigest()
    return f"{names.TOKEN_CALLERS}-{digest[:_DIGEST_DIGITS]}"
