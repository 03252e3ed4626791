"""The URL by which a caller knows this endpoint, for OAuth's metadata only: no check depends on it."""

import re
from urllib.parse import urlsplit

from starlette.requests import Request

from sympozium_webproxy import context

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


def base_url(request: Request) -> str:
    """Return the instance's URL if the caller used it, else the caller's own: a port-forward, a Service, another proxy.

    OAuth clients refuse metadata of another URL than the one they used (RFC 9728, section 3.3). A caller that forges its
    headers misleads only itself, because no check of a token depends on them.

    """
    instance = context.of(request).instance_cache.instance
    own = (instance and instance.status.web_endpoint and instance.status.web_endpoint.url) or ""
    host = request.headers.get("host", "")
    if host == urlsplit(own).netloc or not _HOST.fullmatch(host):
        return own
    outermost = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    scheme = "https" if outermost == "https" else "http"
    return f"{scheme}://{host}"
