"""Dispatch of one JSON-RPC request to the SDK's server, whatever transport brought it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.runner import modern_error_data, serve_one
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import JSONRPCRequest
from starlette.requests import Request

from sympozium_http.refusal import Refusal
from sympozium_webproxy.protocol.mcp import jsonrpc
from sympozium_webproxy.protocol.mcp.jsonrpc import JsonRpcResponse, Message, RequestId
from sympozium_webproxy.protocol.mcp.sessions import Session
from sympozium_webproxy.protocol.mcp.stream_position import StreamPosition

Ctx = ServerRequestContext[Any, Any]
Sink = Callable[[Message | None, str | None], None]
"""Receiver of messages before a request's response: a message, and the id of its position in the stream if it has one.
Without a message it is an event that carries only its position, from which a client can resume a stream that breaks off
before the first message.
"""


@dataclass(frozen=True)
class Caller:
    """The sender of a request, and the fate of the request's run without it."""

    http: Request
    key_id: str
    session: Session | None = None
    durable: bool = False
    """True if a run continues after a disconnect, because its stream can be resumed."""
    made: Callable[[], None] = lambda: None
    """Callback for the moment when the request's run exists."""


def caller(ctx: Ctx) -> Caller:
    """Return the sender of the request that a handler of the SDK's server serves."""
    return cast(Caller, ctx.request)


@dataclass
class _DispatchContext:
    """The SDK's ``DispatchContext`` of one request. The server asks the client nothing, because another replica may serve it next."""

    transport: TransportContext
    request_id: RequestId
    message_metadata: ServerMessageMetadata
    progress_token: RequestId | None
    sink: Sink
    resumable: bool
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    can_send_request: bool = False

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,  # noqa: ARG002 - the SDK's protocol
        opts: CallOptions | None = None,  # noqa: ARG002 - the SDK's protocol
    ) -> dict[str, Any]:
        raise NoBackChannelError(method)

    async def notify(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,  # noqa: ARG002 - the SDK's protocol
    ) -> None:
        self.sink(jsonrpc.notification(method, params), None)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        if self.progress_token is None:
            return
        event_id = (
            StreamPosition(self.request_id, self.progress_token, int(progress)).event_id() if self.resumable else None
        )
        self.sink(jsonrpc.progress_message(self.progress_token, progress, message, total), event_id)


async def dispatch(
    server: Server[Any], request: JSONRPCRequest, caller: Caller, connection: Connection, sink: Sink
) -> JsonRpcResponse:
    """Answer a request. Cancelling this coroutine cancels the request."""
    dispatch_context = _DispatchContext(
        transport=TransportContext(kind="streamable-http", can_send_request=False, headers=caller.http.headers),
        request_id=request.id,
        message_metadata=ServerMessageMetadata(request_context=caller),
        progress_token=progress_token_from_params(request.params),
        sink=sink,
        resumable=caller.durable,
    )
    try:
        served = await serve_one(
            server, dispatch_context, request.method, request.params, connection=connection, lifespan_state={}
        )
    except Refusal as refusal:
        return jsonrpc.render(refusal, request.id)
    except Exception as error:  # noqa: BLE001 - the SDK's own mapping: an unexpected error is logged and answered as internal
        data = modern_error_data(error)
        return JsonRpcResponse(jsonrpc.failure(request.id, data.code, data.message, data.data))
    return JsonRpcResponse(jsonrpc.result(request.id, served))
