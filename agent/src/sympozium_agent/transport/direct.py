"""Requests to the model server over a connection of their own, without a proxy."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from sympozium_agent.transport.http1 import (
    CONNECT_SECONDS,
    Http1Request,
    ResponseHead,
    UnreadResponse,
    connect,
    open_request,
)
from sympozium_agent.transport.preconnected import Preconnection


class _DirectResponse:
    def __init__(self, head: ResponseHead, request: Http1Request) -> None:
        self.head = head
        self.body_chunks = request.body_chunks


@asynccontextmanager
async def post(
    url: str, headers: Mapping[str, str], body: bytes, preconnection: Preconnection, on_send: Callable[[], None]
) -> AsyncIterator[UnreadResponse]:
    """Post over the preconnected connection, unless the peer has closed it, or over a new one. Raises TransportError.

    ``on_send`` is called when there is a connection, before anything is sent. A request that was sent is never repeated,
    because the model may work on it already. Trusted certificate authorities are
    those of OpenSSL, SSL_CERT_FILE and SSL_CERT_DIR.
    """
    headers = {"content-length": str(len(body)), "accept-encoding": "identity"} | dict(headers)
    connection = preconnection.acquire(url) or await connect(url, CONNECT_SECONDS)
    on_send()
    async with open_request("POST", url, headers, connect_timeout=CONNECT_SECONDS, connection=connection) as request:
        request.send(body)
        request.finish()
        yield _DirectResponse(await request.response_head(), request)
