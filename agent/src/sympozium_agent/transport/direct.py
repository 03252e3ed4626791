"""Requests to the model server over a connection of their own, without a proxy."""

from __future__ import annotations

from sympozium_agent.transport.http1 import open_request
from sympozium_agent.transport.preconnected import CONNECT_SECONDS
from sympozium_agent.transport.url import parse_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

    from sympozium_agent.transport.http1 import Http1Request
    from sympozium_agent.transport.preconnected import Connect, Preconnection
    from sympozium_agent.transport.response_parser import ResponseHead
    from sympozium_agent.waiting import Scope


class DirectResponse:
    """A response on a connection of its own, which is open within this context."""

    def __init__(self, head: ResponseHead, request: Http1Request, scope: Scope) -> None:
        self.head = head
        self._request = request
        self._scope = scope

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._request.close()

    def body_chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives. Raises TransportError."""
        return self._request.body_chunks(self._scope)


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    scope: Scope,
    *,
    preconnection: Preconnection,
    connect: Connect,
    on_send: Callable[[], None],
) -> DirectResponse:
    """Post over the preconnected connection, unless the peer has closed it, or over a new one. Raises TransportError.

    ``on_send`` is called when there is a connection, before anything is sent. A request that was sent is never repeated,
    because the model may work on it already.
    """
    headers = {"content-length": str(len(body)), "accept-encoding": "identity"} | dict(headers)
    target = parse_url(url)
    connection = preconnection.acquire(target) or connect(target, CONNECT_SECONDS, scope)
    on_send()
    request = open_request("POST", url, headers, scope, connect_timeout=CONNECT_SECONDS, connection=connection)
    try:
        request.send(body)
        request.finish()
        return DirectResponse(request.response_head(scope), request, scope)
    except BaseException:
        request.close()
        raise
