"""Authentication: from the credentials of a request to its caller."""

import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import jwt

from sympozium_domain.callers.caller import Caller, admin
from sympozium_domain.callers.credentials import Unauthenticated
from sympozium_domain.callers.issuer_users import IssuerUsers
from sympozium_domain.callers.service_accounts import ServiceAccountTokens
from sympozium_http.bearer_keys import BearerKeys, bearer

_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_VARIABLE = "API_AUTH_TOKEN"
"""Id of the token that the variable of this name has."""

KeyCheck = Callable[[str], Awaitable[Caller | None]]
"""Function that returns the caller of an API key, None for an unknown one. Raises Unauthenticated and NotJudged."""


@dataclass(frozen=True)
class Authenticator:
    """Judge of credentials: tokens of the installation, API keys, and tokens of users of Kubernetes."""

    tokens: BearerKeys
    service_accounts: ServiceAccountTokens
    issuer_users: IssuerUsers | None = None
    auth_token: str = field(default="", repr=False)
    """A further token of the installation; empty: none."""
    key_checks: tuple[KeyCheck, ...] = ()

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
