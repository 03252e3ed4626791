"""Identity of the agent API's callers: a pod's projected service-account token, verified offline (rule 5)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from starlette.requests import Request

from sympozium_api.client import Client
from sympozium_api.names import RUNS_AUDIENCE
from sympozium_runs import pod_access_log

_ALGORITHMS = ["RS256", "ES256", "ES384", "ES512", "PS256", "EdDSA"]
_REFETCH_SECONDS = 10.0
"""Shortest time between two fetches of the cluster's keys, which a token with an unknown key causes."""


@dataclass(frozen=True)
class Pod:
    """The pod of a verified token."""

    namespace: str
    name: str
    service_account: str


class Forbidden(Exception):
    """The token is missing, forged, expired, for another audience or of no pod; the message says which."""


class PodTokens:
    """Verifies tokens against the cluster's public keys (``/openid/v1/jwks``), which are fetched once and when they change."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._issuer = ""
        self._fetched_at = float("-inf")

    async def caller(self, request: Request) -> Pod:
        """Return the pod that sends a request, and add it to the request's state. Raises Forbidden and ApiUnavailable."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Forbidden("the pod's token is missing")
        pod = await self.pod(token)
        pod_access_log.state_of(request).pod = pod.name
        return pod

    async def pod(self, token: str) -> Pod:
        """Return the pod that a token was issued to. Raises Forbidden, and ApiUnavailable when the keys cannot be fetched."""
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid", ""))
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=RUNS_AUDIENCE,
                issuer=self._issuer,
                options={"require": ["exp"]},
            )
        except jwt.PyJWTError as error:
            raise Forbidden(f"token refused: {error}") from error
        return _pod(claims)

    async def _key(self, key_id: str) -> jwt.PyJWK:
        if key_id not in self._keys and self._clock() - self._fetched_at >= _REFETCH_SECONDS:
            key_set = await self._client.raw("/openid/v1/jwks")
            self._issuer = (await self._client.raw("/.well-known/openid-configuration"))["issuer"]
            self._keys = {key["kid"]: jwt.PyJWK(key) for key in key_set["keys"]}
            self._fetched_at = self._clock()
        if key_id not in self._keys:
            raise Forbidden("token refused: it is signed with a key that the cluster does not know")
        return self._keys[key_id]


def _pod(claims: dict[str, Any]) -> Pod:
    kubernetes = claims.get("kubernetes.io", {})
    try:
        return Pod(kubernetes["namespace"], kubernetes["pod"]["name"], kubernetes["serviceaccount"]["name"])
    except KeyError as error:
        raise Forbidden("token refused: it is not bound to a pod") from error
