"""Authorization code flow of OpenID Connect with PKCE (RFC 7636), state and nonce: the part of a client that knows no browser.

A browser is sent to ``authorization_address``, comes back with a code, and ``identity`` exchanges the code for an ID token.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from sympozium_api.resources import Object
from sympozium_api.web_endpoint import OAuth
from sympozium_http.issuer_documents import Unusable, https_address, issuer_session, json_object, metadata
from sympozium_http.issuer_tokens import InvalidToken, IssuerTokens
from sympozium_http.key_set import KeySet

_METADATA = "metadata"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint")
_MOST_WORDS = 200
"""Characters of an issuer's own words that a refusal repeats."""


class CodeRefused(Exception):
    """A code, or its ID token, that does not count; the message says why."""


@dataclass(frozen=True)
class OidcClient:
    """The console as the issuer knows it."""

    id: str
    secret: str = field(default="", repr=False)
    """Empty: a public client, which PKCE alone protects."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")


@dataclass(frozen=True)
class SignInAttempt:
    """A sign-in that has begun. Only the browser that has begun it keeps it, and sends ``state`` and ``nonce`` alone to the issuer."""

    state: str
    nonce: str
    verifier: str
    """Code verifier of PKCE."""
    redirect_uri: str
    """Address of the client to which the issuer sends the browser back."""

    @classmethod
    def begin(cls, redirect_uri: str) -> "SignInAttempt":
        """Return an attempt with random values of 256 bits each."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), redirect_uri)

    def is_of(self, state: str) -> bool:
        """Return True if a browser comes back from this attempt, in constant time."""
        return hmac.compare_digest(self.state.encode(), state.encode(errors="replace"))

    @property
    def challenge(self) -> str:
        """Code challenge of PKCE, method S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class AuthorizationCodes:
    """The flow of one client at one issuer."""

    def __init__(self, oauth: OAuth, client: OidcClient, *, clock: Callable[[], float]) -> None:
        self._client = client
        self._tokens = IssuerTokens(clock=clock)
        self._oauth = oauth.model_copy(update={"audiences": [client.id]})
        self._metadata = KeySet[Object](oauth.issuer, self._fetch_metadata, clock=clock)

    @property
    def issuer(self) -> str:
        """Issuer URL."""
        return self._oauth.issuer

    @property
    def host(self) -> str:
        """Host of the issuer, for people."""
        return urlsplit(self._oauth.issuer).netloc

    async def authorization_address(self, attempt: SignInAttempt) -> str:
        """Return the address at which the issuer asks the user. Raises KeysUnavailable."""
        query = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": attempt.redirect_uri,
            "scope": " ".join(self._client.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        address = str((await self._found_metadata())["authorization_endpoint"])
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"

    async def identity(self, code: str, attempt: SignInAttempt) -> dict[str, Any]:
        """Return the claims of the ID token for a code. Raises CodeRefused, FetchFailed and KeysUnavailable."""
        found = await self._found_metadata()
        async with issuer_session(self._oauth) as http:
            token = await self._exchanged(http, found, code, attempt)
        try:
            claims = await self._tokens.claims(token, self._oauth)
        except InvalidToken as error:
            raise CodeRefused(f"its ID token does not count: {error}") from error
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise CodeRefused("its ID token is of another sign-in")
        if claims.get("azp", self._client.id) != self._client.id:
            raise CodeRefused("its ID token is for another client")
        return claims

    async def _exchanged(
        self, http: aiohttp.ClientSession, found: Mapping[str, Any], code: str, attempt: SignInAttempt
    ) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers = {}
        if self._client.secret and _takes_basic(found):
            headers["authorization"] = _basic(self._client)
        else:
            form |= {"client_id": self._client.id} | (
                {"client_secret": self._client.secret} if self._client.secret else {}
            )
        async with http.post(found["token_endpoint"], data=form, headers=headers, allow_redirects=False) as response:
            if response.status >= 500:
                raise Unusable(f"the token endpoint answered {response.status}")
            answer = await json_object(response)
        if response.status != 200:
            raise CodeRefused(f"the issuer says {str(answer.get('error', response.status))[:_MOST_WORDS]}")
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise CodeRefused("the issuer has sent no ID token: the client needs the scope openid")
        return token

    async def _found_metadata(self) -> Object:
        found = await self._metadata.find(_METADATA)
        assert found is not None  # noqa: S101 - a fetch that succeeds has it
        return found

    async def _fetch_metadata(self) -> dict[str, Object]:
        async with issuer_session(self._oauth) as http:
            found = await metadata(http, self._oauth.issuer)
            return {_METADATA: {name: https_address(found, name) for name in _ENDPOINTS} | _methods(found)}


def _methods(found: Mapping[str, Any]) -> Object:
    return {
        name: found[name] for name in ("token_endpoint_auth_methods_supported",) if isinstance(found.get(name), list)
    }


def _takes_basic(found: Mapping[str, Any]) -> bool:
    """Return True if the client's secret goes into a header: the default of OpenID Connect Discovery."""
    return "client_secret_basic" in found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])


def _basic(client: OidcClient) -> str:
    """Return the header of RFC 6749, section 2.3.1."""
    pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
