"""The address by which a caller knows this endpoint. It goes into what OAuth clients are told, and decides about nothing."""

import re
from urllib.parse import urlsplit

from starlette.requests import Request

from sympozium_webproxy import context

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


def base_url(request: Request) -> str:
    """The instance's own URL where the caller used it; else what the caller used instead: a port-forward, a Service, another proxy.

    OAuth clients refuse metadata of any other address than theirs (RFC 9728, section 3.3). A caller that lies about its
    headers misleads itself: which tokens are accepted does not depend on them.
    """
    instance = context.of(request).instance_cache.instance
    own = (instance and instance.status.web_endpoint and instance.status.web_endpoint.url) or ""
    host = request.headers.get("host", "")
    if host == urlsplit(own).netloc or not _HOST.fullmatch(host):
        return own
    outermost = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    scheme = "https" if outermost == "https" else "http"
    return f"{scheme}://{host}"
