"""Access tokens: JWTs of the authorization server that an instance names, never stored or logged."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sympozium_api import names
from sympozium_api.web_endpoint import OAuth
from sympozium_http.issuer_tokens import IssuerTokens


class InsufficientScope(Exception):
    """A valid token that lacks a scope."""


@dataclass(frozen=True)
class TokenCaller:
    """The caller that a token is of."""

    key_id: str
    """Pseudonym of the token's subject."""
    scopes: tuple[str, ...]
    """Scopes of the token, sorted."""


class AccessTokens:
    """Verifier of tokens, offline, with the keys of the instance's current issuer."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._tokens = IssuerTokens(clock=clock)

    async def caller(self, token: str, oauth: OAuth) -> TokenCaller:
        """Return the caller of a token. Raises InvalidToken, InsufficientScope and KeysUnavailable."""
        claims = await self._tokens.claims(token, oauth)
        scopes = _scopes(claims)
        if not set(oauth.required_scopes) <= scopes:
            raise InsufficientScope
        return TokenCaller(_key_id(oauth.issuer, claims["sub"]), tuple(sorted(scopes)))


def _scopes(claims: dict[str, Any]) -> set[str]:
    """Return the scopes, given in one string (RFC 9068) or, by some issuers, as a list."""
    scopes: set[str] = set()
    for value in (claims.get("scope"), claims.get("scp")):
        words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
        scopes |= {word for word in words if isinstance(word, str)}
    return scopes


def _key_id(issuer: str, subject: str) -> str:
    """Return a pseudonym of a subject: the same for all its tokens, whatever client holds them."""
    digest = hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()
    return f"{names.OAUTH_CALLERS}-{digest[:32]}"
