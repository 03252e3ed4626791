"""Public keys of an authorization server: fetched over HTTPS within bounds, cached, and fetched again when they change."""

import asyncio
import json
import math
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import structlog

from sympozium_api.instance import OAuth
from sympozium_api.resources import Object

log = structlog.get_logger()


_FETCH_SECONDS = 5.0
_AGAIN_SECONDS = 10.0
"""Seconds between two fetches at least, even if a token has an unknown key; longer than a fetch takes."""
_FRESH_SECONDS = 600.0
"""Age in seconds at which keys are fetched again beside a request, so that a withdrawn key is soon refused."""
_OLDEST_SECONDS = 24 * 3600.0
"""Age in seconds up to which keys are valid while their issuer does not answer."""
_LARGEST_DOCUMENT = 256 * 1024


class IssuerUnavailable(Exception):
    """Failure to fetch the keys; ``retry_after`` is the number of seconds until the next attempt."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the issuer's keys cannot be fetched")
        self.retry_after = retry_after


class _Unusable(Exception):
    """An issuer's answer that is not metadata or not a key set; the message says why."""


class IssuerKeys:
    """Keys of one issuer."""

    def __init__(self, oauth: OAuth, *, clock: Callable[[], float]) -> None:
        self._oauth = oauth
        self._clock = clock
        self._keys: dict[str, Object] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[bool] | None = None

    async def find(self, key_id: str) -> Object | None:
        """Return the JSON Web Key of an id, None if the issuer has none. Raises IssuerUnavailable if no fetch succeeds."""
        age = self._clock() - self._fetched_at
        if key_id in self._keys and age < _OLDEST_SECONDS:
            if age >= _FRESH_SECONDS:
                self._fetch_again()
            return self._keys[key_id]
        # shielded, because other requests may wait for the same fetch
        if not await asyncio.shield(self._fetch_again()):
            raise IssuerUnavailable(max(1, math.ceil(self._tried_at + _AGAIN_SECONDS - self._clock())))
        return self._keys.get(key_id)

    def _fetch_again(self) -> asyncio.Task[bool]:
        """Start a fetch, or return the last one if it is recent; the task's result is True if the fetch succeeded."""
        if self._fetching is None or self._clock() - self._tried_at >= _AGAIN_SECONDS:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> bool:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                self._keys = await _fetched(self._oauth)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError, _Unusable) as failure:
            reason = str(failure) or type(failure).__name__
            log.warning("issuer keys could not be fetched", issuer=self._oauth.issuer, reason=reason)
            return False
        self._fetched_at = self._clock()
        return True


async def _fetched(oauth: OAuth) -> dict[str, Object]:
    """Return the issuer's signing keys by their ids, without those that have no id."""
    authority = oauth.certificate_authority
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority) if authority else True)
    # trust_env: the proxy that the pod's environment names
    async with aiohttp.ClientSession(connector=connector, trust_env=True, auto_decompress=False) as http:
        keys = (await _document(http, oauth.jwks_uri or await _discovered(http, oauth.issuer))).get("keys")
    if not isinstance(keys, list):
        raise _Unusable("the issuer's key set has no keys")
    signing = [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]
    return {key["kid"]: key for key in signing if isinstance(key.get("kid"), str)}


async def _discovered(http: aiohttp.ClientSession, issuer: str) -> str:
    """Return the URL of the issuer's keys from its metadata: OpenID Connect Discovery, else RFC 8414."""
    try:
        metadata = await _document(http, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    except _Unusable:
        location = urlsplit(issuer)
        path = f"/.well-known/oauth-authorization-server{location.path.rstrip('/')}"
        metadata = await _document(http, f"https://{location.netloc}{path}")
    if metadata.get("issuer") != issuer:
        raise _Unusable("the metadata names another issuer")
    uri = metadata.get("jwks_uri")
    if not isinstance(uri, str) or not uri.startswith("https://"):
        raise _Unusable("the metadata has no jwks_uri with https")
    return uri


async def _document(http: aiohttp.ClientSession, url: str) -> Object:
    headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "sympozium-web-proxy"}
    body = bytearray()
    async with http.get(url, headers=headers, allow_redirects=False) as response:
        if response.status != 200:
            raise _Unusable(f"{url} answered {response.status}")
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > _LARGEST_DOCUMENT:
                raise _Unusable(f"{url} answered more than {_LARGEST_DOCUMENT} bytes")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise _Unusable(f"{url} did not answer a JSON object")
    return document
