"""Users of an OpenID Connect issuer as callers, with the rights that RBAC gives to their names and groups."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sympozium_api import names
from sympozium_api.clock import Clock
from sympozium_api.web_endpoint import OAuth
from sympozium_domain.callers.caller import Caller, Subject, kubernetes_user
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_http.issuer_tokens import InvalidToken, IssuerTokens
from sympozium_http.key_set import KeysUnavailable

_RESERVED = "system:"
"""Prefix of names that are Kubernetes' own: an issuer outside the cluster must not give them away."""
_MOST_GROUPS = 1000


@dataclass(frozen=True)
class IssuerSettings:
    """The issuer, and the claims of its tokens that name a user of Kubernetes."""

    oauth: OAuth
    username_claim: str = "sub"
    groups_claim: str = "groups"


class IssuerUsers:
    """Verifier of an issuer's tokens."""

    def __init__(self, settings: IssuerSettings, clock: Clock) -> None:
        self._settings = settings
        self._tokens = IssuerTokens(clock=clock.monotonic)

    @property
    def issuer(self) -> str:
        """Issuer URL, as in the claim ``iss``."""
        return self._settings.oauth.issuer

    async def caller(self, token: str) -> Caller:
        """Return the caller of a token. Raises Unauthenticated and NotJudged."""
        try:
            claims = await self._tokens.claims(token, self._settings.oauth)
        except InvalidToken as error:
            raise Unauthenticated(f"token refused: {error}") from error
        except KeysUnavailable as error:
            raise NotJudged(
                "the keys of the tokens' issuer cannot be fetched", retry_after=error.retry_after
            ) from error
        return self.identified(claims)

    def identified(self, claims: dict[str, Any]) -> Caller:
        """Return the caller of a verified token's claims. Raises Unauthenticated if they name no user."""
        return kubernetes_user(self._subject(claims), _pseudonym(self.issuer, str(claims["sub"])))

    def _subject(self, claims: dict[str, Any]) -> Subject:
        claim = self._settings.username_claim
        user = claims.get(claim)
        if not isinstance(user, str) or not user:
            raise Unauthenticated(f"token refused: it has no text in the claim {claim}")
        if user.startswith(_RESERVED):
            raise Unauthenticated(f"token refused: the claim {claim} begins with {_RESERVED}, which is Kubernetes' own")
        if claim == "email" and claims.get("email_verified", True) is not True:
            raise Unauthenticated("token refused: the address in the claim email is not verified")
        groups = claims.get(self._settings.groups_claim, ())
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        own = [group for group in listed if isinstance(group, str) and group and not group.startswith(_RESERVED)]
        return Subject(user, (*own[:_MOST_GROUPS], "system:authenticated"))


def _pseudonym(issuer: str, subject: str) -> str:
    """Return a pseudonym of a subject for logs: the same for all its tokens."""
    return f"{names.OIDC_CALLERS}-{hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()[:32]}"
