"""Requests to the model server over a connection of their own, without a proxy."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from sympozium_agent.transport.http1 import (
    CONNECT_SECONDS,
    Http1Request,
    OpenConnection,
    ResponseHead,
    TransportError,
    UnreadResponse,
    open_request,
)
from sympozium_agent.transport.preconnected import Preconnection


class _DirectResponse:
    def __init__(self, head: ResponseHead, request: Http1Request) -> None:
        self.head = head
        self.body_chunks = request.body_chunks


@asynccontextmanager
async def post(
    url: str, headers: Mapping[str, str], body: bytes, preconnection: Preconnection
) -> AsyncIterator[UnreadResponse]:
    """Post over the preconnected or a new connection. Raises TransportError.

    Trusted certificate authorities are those of OpenSSL, SSL_CERT_FILE and SSL_CERT_DIR.
    """
    headers = {"content-length": str(len(body)), "accept-encoding": "identity"} | dict(headers)
    connection = preconnection.acquire(url)
    async with AsyncExitStack() as requests:
        try:
            response = await _send(requests, url, headers, body, connection)
        except TransportError:
            if connection is None:
                raise
            response = await _send(requests, url, headers, body)  # the peer closed the preconnected one meanwhile
        yield response


async def _send(
    requests: AsyncExitStack,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    connection: OpenConnection | None = None,
) -> _DirectResponse:
    opening = open_request("POST", url, headers, connect_timeout=CONNECT_SECONDS, connection=connection)
    request = await requests.enter_async_context(opening)
    request.send(body)
    request.finish()
    return _DirectResponse(await request.response_head(), request)
