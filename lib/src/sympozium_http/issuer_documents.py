"""JSON documents of an authorization server, asked for over HTTPS within bounds of time and size."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sympozium_api.resources import Object
from sympozium_api.web_endpoint import OAuth
from sympozium_http.key_set import FetchFailed

_FETCH_SECONDS = 5.0
_LARGEST_DOCUMENT = 256 * 1024
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "sympozium"}


class Unusable(Exception):
    """An answer of an issuer that is not what was asked for; the message says why."""


@asynccontextmanager
async def issuer_session(oauth: OAuth) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session that trusts the issuer's certificate, for 5 seconds in all. Raises FetchFailed for all that fails in it."""
    authority = oauth.certificate_authority
    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority) if authority else True)
            # trust_env: the proxy that the pod's environment names
            async with aiohttp.ClientSession(
                connector=connector, headers=_HEADERS, trust_env=True, auto_decompress=False
            ) as http:
                yield http
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError, Unusable) as failure:
        raise FetchFailed(str(failure) or type(failure).__name__) from failure


async def metadata(http: aiohttp.ClientSession, issuer: str) -> Object:
    """Return the issuer's metadata: OpenID Connect Discovery, else RFC 8414. Raises Unusable."""
    try:
        found = await document(http, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    except Unusable:
        location = urlsplit(issuer)
        path = f"/.well-known/oauth-authorization-server{location.path.rstrip('/')}"
        found = await document(http, f"https://{location.netloc}{path}")
    if found.get("issuer") != issuer:
        raise Unusable("the metadata names another issuer")
    return found


def https_address(found: Mapping[str, Any], name: str) -> str:
    """Return an address of the metadata. Raises Unusable unless it has one with https."""
    address = found.get(name)
    if not isinstance(address, str) or not address.startswith("https://"):
        raise Unusable(f"the metadata has no {name} with https")
    return address


async def document(http: aiohttp.ClientSession, url: str) -> Object:
    """Return a document. Raises Unusable for any other answer."""
    async with http.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise Unusable(f"{url} answered {response.status}")
        return await json_object(response)


async def json_object(response: aiohttp.ClientResponse) -> Object:
    """Return the body of an answer. Raises Unusable for one that is no JSON object or larger than 256 KiB, and ValueError for no JSON."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _LARGEST_DOCUMENT:
            raise Unusable(f"{response.url} answered more than {_LARGEST_DOCUMENT} bytes")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise Unusable(f"{response.url} did not answer a JSON object")
    return found
