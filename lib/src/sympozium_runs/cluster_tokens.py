"""Service-account tokens, verified offline against the cluster's public keys (rule 5)."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.utils import base64url_decode

from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_http.key_set import FetchFailed, KeySet, KeysUnavailable

Claims = dict[str, Any]

_REMEMBERED = 1000
"""Verified tokens that are remembered, the latest ones: each takes a few hundred bytes."""
_ALGORITHMS = ["RS256", "ES256", "ES384", "ES512", "PS256", "EdDSA"]


class Forbidden(Exception):
    """The token is missing, forged, expired, for another audience or of the wrong account; the message says which."""


class Unverified(Exception):
    """The token cannot be judged yet, because the cluster's current keys are not known; the message says why."""


@dataclass(frozen=True)
class _ClusterKey:
    """A public key of the cluster, and the issuer that its tokens must name."""

    key: jwt.PyJWK
    issuer: str


@dataclass(frozen=True)
class _Verified:
    """A token that was verified: it is valid until it expires, or until its key is withdrawn or fetched again."""

    claims: Claims
    key_id: str
    key: _ClusterKey
    expires_at: float


class ClusterTokens:
    """Verifies tokens of one audience against the cluster's keys (``/openid/v1/jwks``), which are fetched again as ``KeySet`` says.

    Callers send their token with each request, so verified tokens are remembered by their hashes.
    """

    def __init__(self, client: Client, *, audience: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._audience = audience
        self._clock = clock
        self._keys = KeySet("cluster", self._fetch, clock=clock)
        self._verified: dict[bytes, _Verified] = {}

    async def claims(self, token: str) -> Claims:
        """Return the claims of a token. Raises Forbidden, and Unverified if the token's key is not known yet."""
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._verified.get(digest)
        if (
            verified is None
            or await self._key(verified.key_id) is not verified.key
            or time.time() >= verified.expires_at
        ):
            verified = await self._verify(token)
            while len(self._verified) >= _REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = verified
        return verified.claims

    async def _verify(self, token: str) -> _Verified:
        try:
            key_id = _key_id(token)
            found = await self._key(key_id)
            claims = jwt.decode(
                token,
                found.key,
                algorithms=_ALGORITHMS,
                audience=self._audience,
                issuer=found.issuer,
                options={"require": ["exp"]},
            )
        except jwt.InvalidAudienceError as error:
            raise Forbidden(f"token refused: it is not for the audience {self._audience}") from error
        except jwt.PyJWTError as error:
            raise Forbidden(f"token refused: {error}") from error
        return _Verified(claims, key_id, found, float(claims["exp"]))

    async def _key(self, key_id: str) -> _ClusterKey:
        asked_at = self._clock()
        try:
            found = await self._keys.find(key_id)
        except KeysUnavailable as error:
            raise Unverified("the cluster's keys cannot be fetched") from error
        if found is None and self._keys.tried_at < asked_at:  # the key may be newer than the last fetch
            raise Unverified("the token's key is unknown, and the cluster's keys were fetched a moment ago")
        if found is None:
            raise Forbidden("token refused: it is signed with a key that the cluster does not know")
        return found

    async def _fetch(self) -> dict[str, _ClusterKey]:
        try:
            key_set = await self._client.raw("/openid/v1/jwks")
            issuer = (await self._client.raw("/.well-known/openid-configuration"))["issuer"]
            return {key["kid"]: _ClusterKey(jwt.PyJWK(key), issuer) for key in key_set["keys"]}
        except (ApiError, ApiUnavailable, KeyError, TypeError, jwt.PyJWTError) as failure:
            raise FetchFailed(str(failure) or type(failure).__name__) from failure


def _key_id(token: str) -> str:
    """Return the id of the key that a token names. Raises jwt.DecodeError. PyJWT would decode the whole token, and again to verify it."""
    try:
        header = json.loads(base64url_decode(token.partition(".")[0]))
    except (ValueError, RecursionError) as error:
        raise jwt.DecodeError("Invalid header") from error
    key_id = header.get("kid", "") if isinstance(header, dict) else None
    if not isinstance(key_id, str):
        raise jwt.DecodeError("Invalid header")
    return key_id
