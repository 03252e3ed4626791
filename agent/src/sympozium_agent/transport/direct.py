"""How a request gets to the model and the answer's bytes back: directly, or through a proxy with httpx2."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

from sympozium_agent.transport.http1 import CONNECT_SECONDS, Broken, Connection, Exchange, Head, Response, exchange
from sympozium_agent.transport.preconnected import Spare

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


Post = Callable[[str, Mapping[str, str], bytes], AbstractAsyncContextManager[Response]]
"""Posts a body with headers to a URL. Raises Broken."""


def post_for(url: str, spare: Spare) -> Post:
    """The way to this URL."""
    return _indirect() if _is_beyond_us(url) else partial(direct, spare=spare)


async def prepare(url: str, spare: Spare) -> None:
    """Have ready whatever a post to this URL needs, until this is cancelled."""
    if _is_beyond_us(url):
        _indirect()
    else:
        await spare.keep(url)


def _is_beyond_us(url: str) -> bool:
    """What needs more than a connection of its own is left to httpx2."""
    return _names_a_proxy(os.environ) or not url.isascii() or "@" in urlsplit(url).netloc


def _indirect() -> Post:
    from sympozium_agent.transport.proxied import post  # noqa: PLC0415 - 65 ms that most pods need not spend

    return post


def _names_a_proxy(environ: Mapping[str, str]) -> bool:
    """Not asked of urllib.request, whose import is as slow as the rest of this package's."""
    return any(environ.get(name) or environ.get(name.upper()) for name in _PROXY_VARIABLES)


class _Direct:
    def __init__(self, head: Head, request: Exchange) -> None:
        self.head = head
        self.pieces = request.pieces


@asynccontextmanager
async def direct(url: str, headers: Mapping[str, str], body: bytes, spare: Spare) -> AsyncIterator[Response]:
    """Post over a connection of its own. Certificate authorities are OpenSSL's, and those of SSL_CERT_FILE and SSL_CERT_DIR."""
    headers = {"content-length": str(len(body)), "accept-encoding": "identity"} | dict(headers)
    opened = spare.take(url)
    async with AsyncExitStack() as connections:
        try:
            response = await _begin(connections, url, headers, body, opened)
        except Broken:
            if opened is None:
                raise
            response = await _begin(connections, url, headers, body)  # as we spoke, the spare one's peer closed it
        yield response


async def _begin(
    connections: AsyncExitStack,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    spare: Connection | None = None,
) -> _Direct:
    asking = exchange("POST", url, headers, connect=CONNECT_SECONDS, spare=spare)
    request = await connections.enter_async_context(asking)
    request.send(body)
    request.finish()
    return _Direct(await request.head(), request)
