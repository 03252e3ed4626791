"""Transports: HTTP/1.1 to the agent API and, direct, preconnected or proxied, to the model server.

``ModelTransport`` alone decides which way a request to the model server takes. Nothing here knows a run or a dialect.
"""

from __future__ import annotations

import os

from sympozium_agent.transport import direct
from sympozium_agent.transport.connection import connect
from sympozium_agent.transport.errors import TransportError
from sympozium_agent.transport.preconnected import Preconnection
from sympozium_agent.transport.url import authority_of
from sympozium_api.agent_protocol import find_unsendable, is_cluster_host
from sympozium_api.environment import PROXY_VARIABLES, proxy_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from sympozium_agent.transport.connection import Connection
    from sympozium_agent.transport.response import Post, UnreadResponse
    from sympozium_agent.transport.tunnel import Guard
    from sympozium_agent.transport.url import Url
    from sympozium_agent.waiting import Scope


class ModelTransport:
    """Requests to the model server, each by the way that the process's environment asks for at that moment.

    With ``guard``, hosts outside the cluster are reached through it alone, and proxies are not used.
    """

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard
        self._preconnection = Preconnection()
        self.may_have_sent = False
        """True once the model server may have got a part of a request."""

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, scope: Scope
    ) -> AbstractContextManager[UnreadResponse]:
        """Post a body to a URL; all waiting is in ``scope``, and the connection is open within the context. Raises TransportError,
        also for a header that HTTP cannot carry; entering the context may raise it too.
        """
        if (name := find_unsendable(headers)) is not None:
            raise TransportError(f"the header {name} is not valid in HTTP: it must hold printable ASCII only")
        if self._guard is None and _needs_httpx2(url):
            scope.check()
            self._on_send()
            return _proxied_post()(url, headers, body, scope)
        if not _is_plain(url):
            text = "the address holds user info or an international name, which guarded egress does not take"
            raise TransportError(text, "InvalidAddress")
        connection, on_send = self._preconnection, self._on_send
        return direct.post(url, headers, body, scope, preconnection=connection, connect=self._connect, on_send=on_send)

    def prepare(self, url: str, scope: Scope) -> None:
        """Prepare what a post to this URL needs, until the scope ends."""
        if self._guard is None and _needs_httpx2(url):
            _proxied_post()
        elif _is_plain(url):
            self._preconnection.maintain(url, scope, self._connect)

    def work_for(self, run: str) -> None:
        """Name the pod's run to the egress guard from now on."""
        if self._guard is not None:
            self._guard.run = run

    def close(self) -> None:
        """Close the connection that ``prepare`` opened, if no post has used it."""
        self._preconnection.close()

    def _connect(self, target: Url, timeout: float, scope: Scope) -> Connection:
        if self._guard is None or is_cluster_host(target.host):
            return connect(target, timeout, scope)
        return self._guard.connect(target, timeout, scope)

    def _on_send(self) -> None:
        self.may_have_sent = True


def _needs_httpx2(url: str) -> bool:
    """Proxies, credentials in the URL and international host names are left to httpx2.

    urllib.request could name the proxies too, but its import is as slow as the rest of this package's.
    """
    proxied = any(proxy_variable(os.environ, name) for name in PROXY_VARIABLES)
    return proxied or not _is_plain(url)


def _is_plain(url: str) -> bool:
    return url.isascii() and "@" not in authority_of(url)


def _proxied_post() -> Post:
    from sympozium_agent.transport import proxied  # noqa: PLC0415 - 65 ms that most pods need not spend

    return proxied.post
