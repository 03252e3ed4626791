"""Identity of the agent API's callers: a pod's projected service-account token, verified offline (rule 5)."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from sympozium_api.client import Client
from sympozium_api.names import RUNS_AUDIENCE
from sympozium_runs import pod_access_log
from sympozium_runs.cluster_tokens import Claims, ClusterTokens, Forbidden


@dataclass(frozen=True)
class Pod:
    """The pod of a verified token."""

    namespace: str
    name: str
    service_account: str


class PodTokens:
    """Verifier of the tokens of agents' pods."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = ClusterTokens(client, audience=RUNS_AUDIENCE, clock=clock)

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
        return _pod(await self._tokens.claims(token))


def _pod(claims: Claims) -> Pod:
    kubernetes = claims.get("kubernetes.io", {})
    try:
        return Pod(kubernetes["namespace"], kubernetes["pod"]["name"], kubernetes["serviceaccount"]["name"])
    except KeyError as error:
        raise Forbidden("token refused: it is not bound to a pod") from error
