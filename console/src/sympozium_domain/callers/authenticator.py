"""Authentication: from the credentials of a request to its caller."""

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt

from sympozium_api.names import OIDC_CALLERS, STATIC_KEY_CALLERS
from sympozium_domain.callers.caller import Caller, admin, kubernetes_user
from sympozium_domain.callers.credential_reference import CredentialReference, fingerprint, is_of, shortened
from sympozium_domain.callers.credentials import Unauthenticated
from sympozium_domain.callers.issuer_users import IssuerUsers
from sympozium_domain.callers.service_accounts import ServiceAccountTokens
from sympozium_http.bearer_keys import BearerKeys, bearer

_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_VARIABLE = "API_AUTH_TOKEN"
"""Id of the token that the variable of this name has."""

KeyCheck = Callable[[str], Awaitable[Caller | None]]
"""Function that returns the caller of an API key, None for an unknown one. Raises Unauthenticated and NotJudged."""

ReferenceCheck = Callable[[CredentialReference], Awaitable[Caller | None]]
"""Function that returns the caller of a reference to a key of its kind, None for a key that is gone. Raises as a KeyCheck does."""

_ENDED = "The credential of this session is not valid any more."


@dataclass(frozen=True)
class Authenticator:
    """Judge of credentials: tokens of the installation, API keys, and tokens of users of Kubernetes."""

    tokens: BearerKeys
    service_accounts: ServiceAccountTokens
    issuer_users: IssuerUsers | None = None
    auth_token: str = field(default="", repr=False)
    """A further token of the installation; empty: none."""
    key_checks: tuple[KeyCheck, ...] = ()
    reference_checks: Mapping[str, ReferenceCheck] = field(default_factory=dict)
    """Checks of keys that sessions began with, by the kind of the reference."""

    async def caller(self, authorization: str | None) -> Caller:
        """Return the caller of an Authorization header. Raises Unauthenticated, NotJudged, ApiError and ApiUnavailable."""
        credentials = bearer(authorization)
        if credentials is None:
            raise Unauthenticated("")
        token_id = self.tokens.identify(authorization)
        if token_id is None and self._is_auth_token(credentials):
            token_id = _VARIABLE
        if token_id is not None:
            return admin(token_id)
        for check in self.key_checks:
            if found := await check(credentials):
                return found
        if _JWT.fullmatch(credentials):
            return await self._user(credentials)
        raise Unauthenticated("", self.tokens.identify_former(authorization))

    async def signed_in(self, credentials: str) -> tuple[Caller, CredentialReference]:
        """Return the caller of a credential, and a reference with which a session may go on. Raises as ``caller`` does."""
        if not credentials.isascii():  # as headers are; no credential has other characters
            raise Unauthenticated("")
        caller = await self.caller(f"Bearer {credentials}")
        return caller, _reference(caller, credentials)

    def identified(self, claims: dict[str, Any]) -> tuple[Caller, CredentialReference]:
        """Return the caller of a verified ID token of the issuer, and a reference with which a session may go on. Raises Unauthenticated.

        The token's end is not the session's: it bounds the sign-in, which has just happened (OpenID Connect Core, section 2).
        """
        if self.issuer_users is None:
            raise Unauthenticated("")
        caller = self.issuer_users.identified(claims)
        issuer = self.issuer_users.issuer
        return caller, CredentialReference("user", caller.key_id or "", subject=caller.subject, issuer=issuer)

    async def referred(self, reference: CredentialReference) -> Caller:
        """Return the caller of a session, as its credential stands now. Raises as ``caller`` does."""
        if reference.kind == "user":
            return self._referred_user(reference)
        if reference.kind == "token":
            digest = self._token_fingerprint(reference.id)
            if digest is not None and is_of(reference, digest):
                return admin(reference.id)
        elif check := self.reference_checks.get(reference.kind):
            caller = await check(reference)
            if caller is not None:
                return caller
        raise Unauthenticated(_ENDED, reference.id)

    def _token_fingerprint(self, token_id: str) -> str | None:
        if token_id == _VARIABLE:
            return fingerprint(self.auth_token) if self.auth_token else None
        digest = self.tokens.digest(token_id)
        return None if digest is None else shortened(digest)

    def _referred_user(self, reference: CredentialReference) -> Caller:
        """Return the user of a token that was verified at sign-in: its rights are asked for anew at each request, its end is in the
        reference. A token of the issuer counts only while this is the installation's issuer.
        """
        issuer = self.issuer_users.issuer if self.issuer_users is not None else None
        if reference.subject is None or (reference.issuer is not None and reference.issuer != issuer):
            raise Unauthenticated(_ENDED, reference.id)
        return kubernetes_user(reference.subject, reference.id)

    def _is_auth_token(self, credentials: str) -> bool:
        return bool(self.auth_token) and hmac.compare_digest(credentials.encode(), self.auth_token.encode())

    async def _user(self, token: str) -> Caller:
        """Return the user of a token of the cluster or of the issuer: the claim ``iss``, not verified yet, selects the verifier."""
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (jwt.PyJWTError, RecursionError) as error:
            raise Unauthenticated("") from error
        users = self.issuer_users
        if users is not None and issuer == users.issuer:
            return await users.caller(token)
        return await self.service_accounts.caller(token)


def _reference(caller: Caller, credentials: str) -> CredentialReference:
    key_id = caller.key_id or ""
    if caller.is_admin:
        return CredentialReference("token", key_id, fingerprint(credentials))
    if caller.subject is None:
        kind: Literal["static", "key"] = "static" if key_id.startswith(f"{STATIC_KEY_CALLERS}/") else "key"
        mark = fingerprint(credentials) if kind == "static" else ""  # the id of an APIKey is enough
        return CredentialReference(kind, key_id, mark, namespace=caller.namespace, expires_at=caller.expires_at)
    claims = jwt.decode(credentials, options={"verify_signature": False})  # verified a moment ago
    issuer = str(claims["iss"]) if key_id.startswith(f"{OIDC_CALLERS}-") else None
    expires_at = float(claims["exp"]) if "exp" in claims else None
    return CredentialReference("user", key_id, subject=caller.subject, expires_at=expires_at, issuer=issuer)
