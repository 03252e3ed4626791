"""Public keys of an authorization server, fetched over HTTPS within bounds."""

import asyncio
import json
import ssl
from urllib.parse import urlsplit

import aiohttp

from sympozium_api.resources import Object
from sympozium_api.web_endpoint import OAuth
from sympozium_http.key_set import FetchFailed

_FETCH_SECONDS = 5.0
_LARGEST_DOCUMENT = 256 * 1024


class Unusable(Exception):
    """An issuer's answer that is not metadata or not a key set; the message says why."""


async def fetch_keys(oauth: OAuth) -> dict[str, Object]:
    """Return the issuer's signing keys, as JSON Web Keys, by their ids. Raises FetchFailed."""
    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            return await _fetched(oauth)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError, Unusable) as failure:
        raise FetchFailed(str(failure) or type(failure).__name__) from failure


async def _fetched(oauth: OAuth) -> dict[str, Object]:
    """Return the issuer's signing keys by their ids, without those that have no id."""
    authority = oauth.certificate_authority
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority) if authority else True)
    # trust_env: the proxy that the pod's environment names
    async with aiohttp.ClientSession(connector=connector, trust_env=True, auto_decompress=False) as http:
        keys = (await _document(http, oauth.jwks_uri or await _discovered(http, oauth.issuer))).get("keys")
    if not isinstance(keys, list):
        raise Unusable("the issuer's key set has no keys")
    signing = [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]
    return {key["kid"]: key for key in signing if isinstance(key.get("kid"), str)}


async def _discovered(http: aiohttp.ClientSession, issuer: str) -> str:
    """Return the URL of the issuer's keys from its metadata: OpenID Connect Discovery, else RFC 8414."""
    try:
        metadata = await _document(http, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    except Unusable:
        location = urlsplit(issuer)
        path = f"/.well-known/oauth-authorization-server{location.path.rstrip('/')}"
        metadata = await _document(http, f"https://{location.netloc}{path}")
    if metadata.get("issuer") != issuer:
        raise Unusable("the metadata names another issuer")
    uri = metadata.get("jwks_uri")
    if not isinstance(uri, str) or not uri.startswith("https://"):
        raise Unusable("the metadata has no jwks_uri with https")
    return uri


async def _document(http: aiohttp.ClientSession, url: str) -> Object:
    headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "sympozium"}
    body = bytearray()
    async with http.get(url, headers=headers, allow_redirects=False) as response:
        if response.status != 200:
            raise Unusable(f"{url} answered {response.status}")
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > _LARGEST_DOCUMENT:
                raise Unusable(f"{url} answered more than {_LARGEST_DOCUMENT} bytes")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise Unusable(f"{url} did not answer a JSON object")
    return document
