"""Identity of the agent API's callers: a pod's projected service-account token, verified offline (rule 5)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from starlette.requests import Request

from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.names import RUNS_AUDIENCE
from sympozium_http.key_set import FetchFailed, KeySet, KeysUnavailable
from sympozium_runs import pod_access_log

_ALGORITHMS = ["RS256", "ES256", "ES384", "ES512", "PS256", "EdDSA"]


@dataclass(frozen=True)
class Pod:
    """The pod of a verified token."""

    namespace: str
    name: str
    service_account: str


class Forbidden(Exception):
    """The token is missing, forged, expired, for another audience or of no pod; the message says which."""


class Unverified(Exception):
    """The token cannot be judged yet, because the cluster's current keys are not known; the message says why."""


@dataclass(frozen=True)
class _ClusterKey:
    """A public key of the cluster, and the issuer that its tokens must name."""

    key: jwt.PyJWK
    issuer: str


class PodTokens:
    """Verifies tokens against the cluster's public keys (``/openid/v1/jwks``), which are fetched again as ``KeySet`` says."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._keys = KeySet("cluster", self._fetch, clock=clock)

    async def caller(self, request: Request) -> Pod:
        """Return the pod that sends a request, and add it to the request's state. Raises Forbidden and Unverified."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Forbidden("the pod's token is missing")
        pod = await self.pod(token)
        pod_access_log.state_of(request).pod = pod.name
        return pod

    async def pod(self, token: str) -> Pod:
        """Return the pod that a token was issued to. Raises Forbidden, and Unverified if the token's key is not known yet."""
        try:
            found = await self._key(jwt.get_unverified_header(token).get("kid", ""))
            claims = jwt.decode(
                token,
                found.key,
                algorithms=_ALGORITHMS,
                audience=RUNS_AUDIENCE,
                issuer=found.issuer,
                options={"require": ["exp"]},
            )
        except jwt.PyJWTError as error:
            raise Forbidden(f"token refused: {error}") from error
        return _pod(claims)

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


def _pod(claims: dict[str, Any]) -> Pod:
    kubernetes = claims.get("kubernetes.io", {})
    try:
        return Pod(kubernetes["namespace"], kubernetes["pod"]["name"], kubernetes["serviceaccount"]["name"])
    except KeyError as error:
        raise Forbidden("token refused: it is not bound to a pod") from error
