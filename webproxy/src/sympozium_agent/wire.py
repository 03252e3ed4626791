"""How a request gets to the model and the answer's bytes back: directly, or through a proxy with httpx2."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

from sympozium_agent.exchange import CONNECT_SECONDS, Exchange, Head, Response, exchange

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


Post = Callable[[str, Mapping[str, str], bytes], AbstractAsyncContextManager[Response]]
"""Posts a body with headers to a URL. Raises Broken."""


def post_for(url: str) -> Post:
    """The way to this URL. What needs more than a connection of its own is left to httpx2, at the cost of its import."""
    if _names_a_proxy(os.environ) or not url.isascii() or "@" in urlsplit(url).netloc:
        from sympozium_agent.proxied import post  # noqa: PLC0415 - 65 ms that most pods need not spend

        return post
    return direct


def _names_a_proxy(environ: Mapping[str, str]) -> bool:
    """Not asked of urllib.request, whose import is as slow as the rest of this package's."""
    return any(environ.get(name) or environ.get(name.upper()) for name in _PROXY_VARIABLES)


class _Direct:
    def __init__(self, head: Head, request: Exchange) -> None:
        self.head = head
        self.pieces = request.pieces


@asynccontextmanager
async def direct(url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Response]:
    """Post over a connection of its own. Certificate authorities are OpenSSL's, and those of SSL_CERT_FILE and SSL_CERT_DIR."""
    framing = {"content-length": str(len(body)), "accept-encoding": "identity"}
    async with exchange("POST", url, framing | dict(headers), connect=CONNECT_SECONDS) as request:
        request.send(body)
        request.finish()
        yield _Direct(await request.head(), request)
