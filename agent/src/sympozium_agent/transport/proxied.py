"""Requests to the model server through a proxy. The only module that imports httpx2, and imported only when one is needed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2

from sympozium_agent.transport.http1 import CONNECT_SECONDS, ResponseHead, TransportError, UnreadResponse, no_connection


def _no_answer(failure: Exception) -> TransportError:
    text = str(failure) or type(failure).__name__
    match failure:
        case httpx2.ReadError() | httpx2.WriteError() | httpx2.CloseError() | httpx2.RemoteProtocolError():
            return TransportError(text)
        case httpx2.ProxyError():
            return TransportError(text, "ProxyFailed")
        case httpx2.TimeoutException():
            return TransportError("no connection: timed out", "Timeout")
        case httpx2.InvalidURL():
            return TransportError(text, "InvalidAddress")
    cause: BaseException | None = failure
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return TransportError(text, "ConnectionFailed") if cause is None else no_connection(cause)


class _ProxiedResponse:
    def __init__(self, response: httpx2.Response) -> None:
        self.head = ResponseHead(response.status_code, response.headers)
        self._response = response

    async def body_chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        except httpx2.HTTPError as failure:
            raise TransportError(str(failure) or type(failure).__name__) from failure


@asynccontextmanager
async def post(url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[UnreadResponse]:
    """Post as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say. Raises TransportError."""
    async with httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS)) as client:
        try:
            request = client.build_request("POST", url, content=body, headers=headers)
            response = await client.send(request, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
            raise _no_answer(failure) from failure
        try:
            yield _ProxiedResponse(response)
        finally:
            await response.aclose()
