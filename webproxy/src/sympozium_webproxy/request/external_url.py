"""The URL by which a caller knows this endpoint, for OAuth's metadata and the addresses in answers: no check depends on it."""

from urllib.parse import urlsplit

from starlette.requests import Request

from sympozium_http import forwarded
from sympozium_webproxy import context


def base_url(request: Request) -> str:
    """Return the instance's URL if the caller used it, else the caller's own: a port-forward, a Service, another proxy.

    OAuth clients refuse metadata of another URL than the one they used (RFC 9728, section 3.3). A caller that forges its
    headers misleads only itself, because no check of a token depends on them (docs/decisions/0049).

    """
    instance = context.of(request).instance_cache.instance
    own = (instance and instance.status.web_endpoint and instance.status.web_endpoint.url) or ""
    address = _address(request)
    if address.host in ("", urlsplit(own).netloc):
        return own + address.prefix
    return f"{address.scheme}://{address.host}{address.prefix}"


def prefix(request: Request) -> str:
    """Return the path before this endpoint's own paths, which the gateway has removed; mostly empty."""
    return _address(request).prefix


def _address(request: Request) -> forwarded.Address:
    return forwarded.address(request, context.of(request).settings.trusted_proxies)
