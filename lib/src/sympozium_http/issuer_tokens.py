"""Tokens (JWTs) of an issuer outside the cluster, verified offline with its keys (RFC 9068, RFC 8725), never stored or logged."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jwt

from sympozium_api.resources import Object
from sympozium_api.web_endpoint import OAuth
from sympozium_http import issuer_keys
from sympozium_http.key_set import KeySet

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric algorithms only: with HMAC, whoever can verify a token could sign one."""
_LEEWAY_SECONDS = 30
"""Seconds by which the issuer's clock may differ from ours."""


class InvalidToken(Exception):
    """A token that is not of the issuer, not for this server or not valid now; the message says which."""


class IssuerTokens:
    """Verifier of tokens with the keys of the current issuer."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._source: tuple[str | None, ...] = ()
        self._keys: KeySet[Object] | None = None

    async def claims(self, token: str, oauth: OAuth) -> dict[str, Any]:
        """Return the claims of a token, among them ``iss``, ``aud``, ``exp`` and ``sub``. Raises InvalidToken and KeysUnavailable."""
        try:
            return await self._verified(token, oauth)
        except (jwt.PyJWKError, jwt.InvalidKeyError) as error:
            raise InvalidToken("The issuer's key does not fit the token's algorithm.") from error
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error)) from error
        except RecursionError as error:
            raise InvalidToken("The token cannot be parsed.") from error

    async def _verified(self, token: str, oauth: OAuth) -> dict[str, Any]:
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
            self._keys = KeySet(oauth.issuer, partial(issuer_keys.fetch_keys, oauth), clock=self._clock)
        return self._keys
