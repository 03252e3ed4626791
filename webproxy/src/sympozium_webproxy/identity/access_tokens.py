"""Access tokens: JWTs of the authorization server that an instance names (RFC 9068, RFC 8725), never stored or logged."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jwt

from sympozium_api import names
from sympozium_api.resources import Object
from sympozium_api.web_endpoint import OAuth
from sympozium_http.key_set import KeySet
from sympozium_webproxy.identity import issuer

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric algorithms only: with HMAC, whoever can verify a token could sign one."""
_LEEWAY_SECONDS = 30
"""Seconds by which the issuer's clock may differ from ours."""


class InvalidToken(Exception):
    """A token that is not of the issuer, not for this endpoint or not valid now; the message says which."""


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
        self._clock = clock
        self._source: tuple[str | None, ...] = ()
        self._keys: KeySet[Object] | None = None

    async def caller(self, token: str, oauth: OAuth) -> TokenCaller:
        """Return the caller of a token. Raises InvalidToken, InsufficientScope and KeysUnavailable."""
        try:
            claims = await self._claims(token, oauth)
        except (jwt.PyJWKError, jwt.InvalidKeyError) as error:
            raise InvalidToken("The issuer's key does not fit the token's algorithm.") from error
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error)) from error
        except RecursionError as error:
            raise InvalidToken("The token cannot be parsed.") from error
        scopes = _scopes(claims)
        if not set(oauth.required_scopes) <= scopes:
            raise InsufficientScope
        return TokenCaller(_key_id(oauth.issuer, claims["sub"]), tuple(sorted(scopes)))

    async def _claims(self, token: str, oauth: OAuth) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in _ALGORITHMS:
            raise InvalidToken("Its signature algorithm is not accepted.")
        jwk = await self._keys_of(oauth).find(header.get("kid", ""))
        if jwk is None:
            raise InvalidToken("Its issuer has no key of this id.")
        return jwt.decode(
            token,
            jwt.PyJWK(jwk, jwk.get("alg") or algorithm),
            algorithms=_ALGORITHMS,
            audience=oauth.audiences,
            issuer=oauth.issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["iss", "aud", "exp", "sub"], "enforce_minimum_key_length": True},
        )

    def _keys_of(self, oauth: OAuth) -> KeySet[Object]:
        source = (oauth.issuer, oauth.jwks_uri, oauth.certificate_authority)
        if self._keys is None or self._source != source:
            self._source = source
            self._keys = KeySet(oauth.issuer, partial(issuer.fetch_keys, oauth), clock=self._clock)
        return self._keys


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
