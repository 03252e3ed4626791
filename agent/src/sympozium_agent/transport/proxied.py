"""Requests to the model server through a proxy. The only module that imports asyncio and httpx2, and imported only when one is
needed.

A post has an event loop of its own, which turns only while its caller waits for the next piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2

from sympozium_agent.transport.errors import TransportError, no_connection
from sympozium_agent.transport.preconnected import CONNECT_SECONDS
from sympozium_agent.transport.response import UnreadResponse
from sympozium_agent.transport.response_parser import ResponseHead
from sympozium_agent.waiting import Event, Scope

T = TypeVar("T")

_LATER = 0.001
"""Seconds by which the loop's timer is late, so that the scope's deadline has passed then."""


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


class _Loop:
    """An event loop that carries out one coroutine after the other, each as long as the scope lasts."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._loop = asyncio.new_event_loop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of the coroutine. Raises what it raises, and Cancelled and DeadlineExceeded."""
        task = self._loop.create_task(work)

        def cancel(event: Event) -> None:
            self._loop.remove_reader(event.fileno())  # once, because the cancelled task may have to wait as it closes
            task.cancel()

        for event in self._scope.events:
            self._loop.add_reader(event.fileno(), cancel, event)
        timer = self._loop.call_later(max(self._scope.remaining(), 0) + _LATER, task.cancel)
        try:
            return self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            self._scope.check()
            raise
        finally:
            timer.cancel()
            for event in self._scope.events:
                self._loop.remove_reader(event.fileno())

    def close(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry out the last coroutine, although the scope may have ended, and close the loop."""
        try:
            self._loop.run_until_complete(work)
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


class _ProxiedResponse:
    def __init__(self, response: httpx2.Response, loop: _Loop) -> None:
        self.head = ResponseHead(response.status_code, response.headers)
        self._chunks = response.aiter_raw()
        self._loop = loop

    def body_chunks(self) -> Iterator[bytes]:
        try:
            while (chunk := self._loop.run(self._next())) is not None:
                yield chunk
        except httpx2.HTTPError as failure:
            raise TransportError(str(failure) or type(failure).__name__) from failure

    async def _next(self) -> bytes | None:
        return await anext(self._chunks, None)


@contextmanager
def post(url: str, headers: Mapping[str, str], body: bytes, scope: Scope) -> Iterator[UnreadResponse]:
    """Post as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say. Raises TransportError."""
    client = httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS))
    loop = _Loop(scope)
    try:
        try:
            request = client.build_request("POST", url, content=body, headers=headers)
            response = loop.run(client.send(request, stream=True))
        except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
            raise _no_answer(failure) from failure
        yield _ProxiedResponse(response, loop)
    finally:
        loop.close(client.aclose())
