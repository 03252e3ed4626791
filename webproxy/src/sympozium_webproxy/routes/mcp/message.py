"""JSON-RPC messages that come in: read, checked and limited before the SDK's server gets them."""

from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import check_accept_headers
from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCMessage,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from sympozium_api.json_members import RefusedObject
from sympozium_http import storable_json
from sympozium_http.compact_json import json_bytes
from sympozium_http.refusal import Refusal
from sympozium_webproxy import context
from sympozium_webproxy.identity import session_key
from sympozium_webproxy.protocol.mcp import sessions
from sympozium_webproxy.protocol.mcp.jsonrpc import JsonRpcResponse, RequestId, failure, render
from sympozium_webproxy.request.authentication import limit, limit_reads


class RefusedMessage(Exception):
    """A message that is answered before it reaches the server."""

    def __init__(self, response: JsonRpcResponse) -> None:
        super().__init__(response.message["error"]["message"])
        self.response = response


class McpRoute(APIRoute):
    """A route of MCP: the application answers refusals of such a route as JSON-RPC errors."""


def respond(response: JsonRpcResponse) -> Response:
    """Return the HTTP response of a JSON-RPC response that needs no stream."""
    return Response(json_bytes(response.message), response.status, response.headers, "application/json")


def refused(refusal: Refusal) -> Response:
    """Return the HTTP response of a refusal that belongs to no JSON-RPC id."""
    return respond(render(refusal))


def refused_message(
    status: int, message: str, *, code: int = INVALID_REQUEST, data: Any = None, id_: RequestId | None = None
) -> RefusedMessage:
    """Return the refusal of a message by MCP's own rules, with JSON-RPC's error code and an HTTP status."""
    return RefusedMessage(JsonRpcResponse(failure(id_, code, message, data), status))


def parse_body(body: bytes) -> Any:
    """Return the JSON value of a body. Raises RefusedMessage 400."""
    try:
        return storable_json.parse(body.decode())
    except RefusedObject as error:
        raise refused_message(400, f"The body is refused: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise refused_message(400, "Parse error", code=PARSE_ERROR) from error
    except storable_json.NotStorable as error:
        raise refused_message(400, f"{error.path}: {error.reason}") from error


def parse_message(value: Any) -> JSONRPCMessage:
    """Return the one message that a body's JSON value is. Raises RefusedMessage 400."""
    try:
        return jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError as error:
        raise refused_message(400, "The body must be one JSON-RPC request, notification or response.") from error


@dataclass(frozen=True)
class Accepted:
    """Forms in which a client takes an answer."""

    json: bool
    stream: bool


def accepted(request: Request) -> Accepted:
    """Return the forms in which a client takes the answer to a message. Raises RefusedMessage 406 if it takes none.

    MCP asks clients for both; some send one of them only. A request without the header takes anything (RFC 9110, section 12.5.1).

    """
    if not request.headers.get("accept", "").strip():
        return Accepted(json=True, stream=True)
    json, stream = check_accept_headers(request)
    if not json and not stream:
        raise refused_message(406, "Send 'Accept: application/json, text/event-stream'.")
    return Accepted(json, stream)


def check_stream_accepted(request: Request) -> None:
    """Raise RefusedMessage 406 if a client asks for a stream and does not take one."""
    if not accepted(request).stream:
        raise refused_message(406, "Send 'Accept: text/event-stream'.")


def check_limits(request: Request, key_id: str, message: JSONRPCMessage) -> None:
    """Count a message against the limits of its key: a call of a tool may make a run, any other is a read.

    Raises RefusedMessage 429 and 503.
    """
    request_id = message.id if isinstance(message, JSONRPCRequest) else None
    try:
        if isinstance(message, JSONRPCRequest) and message.method == "tools/call":
            limit(request, key_id)
        else:
            limit_reads(request, key_id)
    except Refusal as refusal:
        raise RefusedMessage(render(refusal, request_id)) from refusal


def server(request: Request) -> Server[Any]:
    """Return the SDK's server of the instance. Raises Refusal 503."""
    current: Server[Any] = request.app.state.mcp()
    return current


def signing_key(request: Request, key_id: str) -> bytes:
    """Return the key that signs the sessions of an API key. Raises Refusal 503."""
    parts = context.of(request)
    return sessions.signing_key(session_key.read(parts.settings.session_key), parts.keys.digest(key_id))
