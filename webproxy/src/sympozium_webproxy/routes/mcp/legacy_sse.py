"""``/sse`` and ``/message``: the transport of 2024-11-05. One replica holds a client's stream, any replica gets its messages."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from mcp.server.connection import Connection
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp_types import INVALID_REQUEST, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest
from mcp_types.version import LATEST_HANDSHAKE_VERSION
from starlette.types import Receive, Scope, Send

from sympozium_http import disconnect, raw_response, request_state, sse
from sympozium_http.refusal import Refusal
from sympozium_webproxy import context
from sympozium_webproxy.protocol.mcp import jsonrpc, sessions
from sympozium_webproxy.protocol.mcp.jsonrpc import JsonRpcResponse, RequestId
from sympozium_webproxy.request.authentication import authenticate, authenticate_read
from sympozium_webproxy.request.body import parse, read_json_bytes
from sympozium_webproxy.request.external_url import prefix
from sympozium_webproxy.routes.mcp import forwarding
from sympozium_webproxy.routes.mcp.dispatch import Caller, dispatch
from sympozium_webproxy.routes.mcp.mcp_response import frame
from sympozium_webproxy.routes.mcp.message import (
    McpRoute,
    check_limits,
    check_stream_accepted,
    parse_body,
    parse_message,
    refused_message,
    server,
    signing_key,
)
from sympozium_webproxy.routes.mcp.outgoing import OutgoingQueue

router = APIRouter(route_class=McpRoute)


@dataclass
class SessionStream:
    """Open stream of one client, with its calls in progress.

    The stream of a client that reads too slowly ends, because a call's answer cannot be fetched in another way.
    """

    frames: OutgoingQueue[bytes]
    calls: dict[RequestId, "asyncio.Task[None]"] = field(default_factory=dict)
    version: str = ""
    """Negotiated protocol version; empty until then."""
    is_ended: bool = False
    """True once nothing is sent any more but the piece under way."""

    def begin(self, request_id: RequestId, call: Coroutine[Any, Any, None]) -> None:
        """Start a call, which is forgotten at its end. Its id must not be one of ``calls``."""
        task = asyncio.create_task(call)
        self.calls[request_id] = task
        task.add_done_callback(lambda _: self.calls.pop(request_id, None))

    def cancel(self, request_id: RequestId | None) -> None:
        """Cancel a call of the client that is in progress."""
        if request_id in self.calls:
            self.calls[request_id].cancel()

    def send(self, message: jsonrpc.Message | None) -> None:
        """Send a message to the client, or end the stream if too much of it waits."""
        if self.frames.is_full:
            self.end()
        if not self.is_ended:
            content = frame(message)
            self.frames.put(content, len(content))

    def end(self) -> None:
        """Drop what waits to be sent, and cancel all calls."""
        self.is_ended = True
        self.frames.clear()
        for call in self.calls.values():
            call.cancel()


Streams = dict[str, SessionStream]
"""Streams that this replica holds, by their sessions' ids."""


@router.get("/sse")
async def open_stream(request: Request) -> Response:
    """Begin a session: the first event names the URL for its messages, the others are the answers."""
    key_id = await authenticate_read(request)
    check_stream_accepted(request)
    parts = context.of(request)
    session = sessions.begin(key_id, "", now=parts.clock.now().timestamp(), replica=parts.settings.address)
    token = sessions.seal(session, signing_key(request, key_id))
    return _StreamResponse(request, session.id, _opening(prefix(request), token))


def _opening(prefix: str, token: str) -> bytes:
    return f"event: endpoint\ndata: {prefix}/message?sessionId={token}\n\n".encode()


@router.post("/message")
async def take_message(request: Request) -> Response:
    """Accept a message of a session with 202; its answer comes on the session's stream."""
    token = request.query_params.get("sessionId") or request.query_params.get("session_id") or ""
    is_forwarded = forwarding.HEADER in request.headers
    key_id = sessions.claimed_key(token) if is_forwarded else await authenticate(request)
    now, key = context.of(request).clock.now().timestamp(), signing_key(request, key_id)
    session = sessions.unseal(token, key, key_id=key_id, now=now)
    if session is None:
        raise refused_message(404, "There is no such session.")
    if is_forwarded:
        body = await forwarding.body(request, token, key)
    else:
        body = await read_json_bytes(request)
    request_state.of(request).key_id = key_id
    if session.replica != context.of(request).settings.address:
        return await forwarding.forward(request, token, session, key, body)
    message = parse_message(await parse(parse_body, body))
    stream = _streams(request).get(session.id)
    if stream is None or stream.is_ended:
        raise refused_message(404, "There is no such session.")
    _take(request, Caller(request, key_id, session), stream, message)
    return Response("Accepted", status_code=202)


class _StreamResponse(Response):
    """Stream of a session, open until its client disconnects or this replica terminates. Its calls are cancelled then."""

    def __init__(self, request: Request, session_id: str, opening: bytes) -> None:
        super().__init__()
        self._parts = context.of(request)
        self._streams = _streams(request)
        self._id = session_id
        self._opening = opening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer as an ASGI application."""
        stream = self._streams[self._id] = SessionStream(OutgoingQueue(self._parts.budget))
        try:
            async with disconnect.cancels(receive):
                await self._send_all(stream, send)
        finally:
            del self._streams[self._id]
            stream.end()
            await asyncio.gather(*stream.calls.values(), return_exceptions=True)

    async def _send_all(self, stream: SessionStream, send: Send) -> None:
        await raw_response.start(send, 200, sse.HEADERS)
        piece = self._opening
        while not (self._parts.draining and piece is sse.KEEP_ALIVE and not stream.calls):
            await raw_response.send_piece(send, piece)
            if stream.is_ended:
                break
            piece = await self._next(stream)
        await raw_response.finish(send)

    async def _next(self, stream: SessionStream) -> bytes:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._parts.settings.keep_alive_seconds):
                return await stream.frames.take()
        return sse.KEEP_ALIVE


def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.mcp_streams
    return streams


def _take(request: Request, caller: Caller, stream: SessionStream, message: JSONRPCMessage) -> None:
    """Do what a message asks for. Raises RefusedMessage 400, 429 and 503."""
    if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
        stream.cancel(cancelled_request_id_from_params(message.params))
    if isinstance(message, JSONRPCRequest):
        if message.id in stream.calls:  # the answers could not be told apart (MCP: an id is used once per session)
            raise refused_message(400, f"A request with the id {message.id!r} is in progress.", id_=message.id)
        check_limits(request, caller.key_id, message)
        stream.begin(message.id, _call(request, caller, stream, message))


async def _call(request: Request, caller: Caller, stream: SessionStream, message: JSONRPCRequest) -> None:
    def send(notification: jsonrpc.Message | None, _: str | None = None) -> None:
        stream.send(notification)

    if not stream.version and message.method not in ("initialize", "ping"):
        send(jsonrpc.failure(message.id, INVALID_REQUEST, "Begin the session with 'initialize'."))
        return
    connection = Connection.from_envelope(stream.version or LATEST_HANDSHAKE_VERSION, None, {})
    try:
        response = await dispatch(server(request), message, caller, connection, send)
    except Refusal as refusal:
        response = jsonrpc.render(refusal, message.id)
    if message.method == "initialize":
        stream.version = _agreed(response)
    send(response.message)


def _agreed(response: JsonRpcResponse) -> str:
    return str(response.message.get("result", {}).get("protocolVersion", ""))
