"""Transports: HTTP/1.1 to the agent API and, direct, preconnected or proxied, to the model server.

``ModelTransport`` alone decides which way a request to the model server takes. Nothing here knows a run or a dialect.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from sympozium_agent.transport import direct
from sympozium_agent.transport.http1 import TransportError, UnreadResponse
from sympozium_agent.transport.preconnected import Preconnection
from sympozium_api.agent_protocol import find_unsendable
from sympozium_api.environment import PROXY_VARIABLES, proxy_variable

Post = Callable[[str, Mapping[str, str], bytes], AbstractAsyncContextManager[UnreadResponse]]


class ModelTransport:
    """Requests to the model server, each by the way that the process's environment asks for at that moment."""

    def __init__(self) -> None:
        self._preconnection = Preconnection()
        self.may_have_sent = False
        """True once the model server may have got a part of a request."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> AbstractAsyncContextManager[UnreadResponse]:
        """Post a body to a URL. Raises TransportError for a header that HTTP cannot carry; entering the context raises it too."""
        if (name := find_unsendable(headers)) is not None:
            raise TransportError(f"the header {name} is not valid in HTTP: it must hold printable ASCII only")
        if _needs_httpx2(url):
            self._on_send()
            return _proxied_post()(url, headers, body)
        return direct.post(url, headers, body, self._preconnection, self._on_send)

    async def prepare(self, url: str) -> None:
        """Prepare what a post to this URL needs, until cancelled."""
        if _needs_httpx2(url):
            _proxied_post()
        else:
            await self._preconnection.maintain(url)

    def close(self) -> None:
        """Close the connection that ``prepare`` opened, if no post has used it."""
        self._preconnection.close()

    def _on_send(self) -> None:
        self.may_have_sent = True


def _needs_httpx2(url: str) -> bool:
    """Proxies, credentials in the URL and international host names are left to httpx2.

    urllib.request could name the proxies too, but its import is as slow as the rest of this package's.
    """
    proxied = any(proxy_variable(os.environ, name) for name in PROXY_VARIABLES)
    return proxied or not url.isascii() or "@" in urlsplit(url).netloc


def _proxied_post() -> Post:
    from sympozium_agent.transport import proxied  # noqa: PLC0415 - 65 ms that most pods need not spend

    return proxied.post
