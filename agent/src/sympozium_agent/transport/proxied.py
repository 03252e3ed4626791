"""The way to a model behind a proxy. The only module that imports httpx2, and imported only where it is needed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2

from sympozium_agent.transport.http1 import CONNECT_SECONDS, Broken, Head, Response


class _Proxied:
    def __init__(self, response: httpx2.Response) -> None:
        self.head = Head(response.status_code, response.headers.get("content-type", ""))
        self._response = response

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes():
                yield piece
        except httpx2.HTTPError as failure:
            raise Broken(str(failure) or type(failure).__name__) from failure


@asynccontextmanager
async def post(url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Response]:
    """Post by whatever HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say. Raises Broken."""
    async with httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS)) as client:
        try:
            request = client.build_request("POST", url, content=body, headers=headers)
            response = await client.send(request, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
            raise Broken(str(failure) or type(failure).__name__) from failure
        try:
            yield _Proxied(response)
        finally:
            await response.aclose()
