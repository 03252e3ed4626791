"""Service accounts as callers: their tokens of the audience ``sympozium-console``, verified offline."""

from typing import Any

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.names import ACCOUNT_CALLERS, CONSOLE_AUDIENCE
from sympozium_domain.callers.caller import Caller, Subject, kubernetes_user
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_runs.cluster_tokens import ClusterTokens, Forbidden, Unverified

_RETRY_SECONDS = 10


class ServiceAccountTokens:
    """Verifier of service accounts' tokens, whether a pod or a person got them."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._tokens = ClusterTokens(client, audience=CONSOLE_AUDIENCE, clock=clock.monotonic)

    async def caller(self, token: str) -> Caller:
        """Return the caller of a token. Raises Unauthenticated and NotJudged."""
        try:
            claims = await self._tokens.claims(token)
        except Forbidden as error:
            raise Unauthenticated(str(error)) from error
        except Unverified as error:
            raise NotJudged(str(error), retry_after=_RETRY_SECONDS) from error
        kubernetes: Any = claims.get("kubernetes.io")
        try:
            namespace, name = str(kubernetes["namespace"]), str(kubernetes["serviceaccount"]["name"])
        except (KeyError, TypeError) as error:
            raise Unauthenticated("token refused: it is not of a service account") from error
        user = f"{ACCOUNT_CALLERS}:{namespace}:{name}"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return kubernetes_user(Subject(user, groups), user)
