"""Public keys of an authorization server."""

import aiohttp

from sympozium_api.resources import Object
from sympozium_api.web_endpoint import OAuth
from sympozium_http.issuer_documents import Unusable, document, https_address, issuer_session, metadata


async def fetch_keys(oauth: OAuth) -> dict[str, Object]:
    """Return the issuer's signing keys, as JSON Web Keys, by their ids. Raises FetchFailed."""
    async with issuer_session(oauth) as http:
        return await _fetched(http, oauth)


async def _fetched(http: aiohttp.ClientSession, oauth: OAuth) -> dict[str, Object]:
    """Return the issuer's signing keys by their ids, without those that have no id."""
    address = oauth.jwks_uri or https_address(await metadata(http, oauth.issuer), "jwks_uri")
    keys = (await document(http, address)).get("keys")
    if not isinstance(keys, list):
        raise Unusable("the issuer's key set has no keys")
    signing = [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]
    return {key["kid"]: key for key in signing if isinstance(key.get("kid"), str)}
