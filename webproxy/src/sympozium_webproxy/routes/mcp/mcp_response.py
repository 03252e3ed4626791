"""The HTTP response of one JSON-RPC request: a JSON body, or server-sent events once a message precedes the answer."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sympozium_http import disconnect, raw_response, sse
from sympozium_http.byte_budget import ByteBudget
from sympozium_webproxy.protocol.mcp.jsonrpc import JsonRpcResponse, Message
from sympozium_webproxy.routes.mcp.dispatch import Sink
from sympozium_webproxy.routes.mcp.message import Accepted
from sympozium_webproxy.routes.mcp.outgoing import OutgoingQueue

_KEEP_ALIVE = b": keep-alive\n"
"""A comment without a blank line after it: once an event had an id, older MCP clients take the blank line for an empty event."""

Work = Callable[[Sink], Awaitable[JsonRpcResponse]]


def frame(message: Message | None, event_id: str | None = None) -> bytes:
    """Return a message as a server-sent event."""
    id_line = f"id: {event_id}\n".encode() if event_id else b""
    return id_line + (b"data:\n\n" if message is None else sse.data(message, event="message"))


class McpResponse(Response):
    """Runs a request's work and sends its messages. A client disconnect cancels the work.

    The response becomes a stream with the first message, or after ``keep_alive_seconds`` of silence: until then an error
    still has its own status. ``close`` is called at the end, even if the work never began. For a client that takes JSON only,
    the messages before the answer are left out, and for one that takes a stream only, a successful answer is a stream.
    A client that reads too slowly gets no further message before the answer, which holds the whole text.

    """

    def __init__(
        self,
        work: Work,
        close: Callable[[], None],
        accepted: Accepted,
        *,
        keep_alive_seconds: float,
        budget: ByteBudget,
    ) -> None:
        super().__init__()
        self._work = work
        self._close = close
        self._accepted = accepted
        self._keep_alive_seconds = keep_alive_seconds
        self._streaming = False
        self._only_end = False
        self._outgoing: OutgoingQueue[bytes | JsonRpcResponse | None] = OutgoingQueue(budget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer as an ASGI application."""
        working = asyncio.create_task(self._run_work())
        working.add_done_callback(lambda _: self._outgoing.put(None, 0))
        try:
            async with disconnect.cancels(receive):
                await self._send_all(send)
        finally:
            working.cancel()
            await asyncio.wait([working])
            self._outgoing.clear()
            self._close()
        if not working.cancelled():
            working.result()

    async def _run_work(self) -> None:
        response = await self._work(self._sink)
        self._outgoing.put(response, len(frame(response.message)) if self._streaming else 0)  # else it is sent at once

    def _sink(self, message: Message | None, event_id: str | None) -> None:
        self._only_end = self._only_end or self._outgoing.is_full
        if not self._only_end:
            content = frame(message, event_id)
            self._outgoing.put(content, len(content))

    async def _send_all(self, send: Send) -> None:
        while True:
            item = await self._next()
            if item is None:
                return
            if isinstance(item, bytes):
                if self._accepted.stream:
                    await self._send_frame(send, item)
            else:
                await self._end(send, item)
                return

    async def _next(self) -> bytes | JsonRpcResponse | None:
        try:
            async with asyncio.timeout(self._keep_alive_seconds):
                return await self._outgoing.take()
        except TimeoutError:
            return _KEEP_ALIVE

    async def _end(self, send: Send, response: JsonRpcResponse) -> None:
        if self._streaming:
            await raw_response.finish(send, frame(response.message))
        elif response.status == 200 and not self._accepted.json:
            await raw_response.start(send, 200, {**sse.HEADERS, **response.headers})
            await raw_response.finish(send, frame(response.message))
        else:
            await raw_response.send_json(send, response.status, response.message, response.headers)

    async def _send_frame(self, send: Send, content: bytes) -> None:
        if not self._streaming:
            self._streaming = True
            await raw_response.start(send, 200, sse.HEADERS)
        await raw_response.send_piece(send, content)
