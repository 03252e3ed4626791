"""What comes in: who sends it, which JSON-RPC message it is, and whether it may pass."""

from collections.abc import Callable, Coroutine
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

from sympozium_http.json_body import json_bytes
from sympozium_webproxy import context
from sympozium_webproxy.protocol.mcp import sessions
from sympozium_webproxy.protocol.mcp.events import RequestId
from sympozium_webproxy.protocol.openai import keepable
from sympozium_webproxy.protocol.openai.errors import OpenAIError
from sympozium_webproxy.routes.admission import limit
from sympozium_webproxy.routes.mcp.exchange import Outcome, failure, refusal


class Refused(Exception):
    """A message that is answered before it reaches the server."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message["error"]["message"])
        self.outcome = outcome


class McpRoute(APIRoute):
    """A route whose refusals are told as JSON-RPC errors."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, which raises neither Refused nor OpenAIError."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except Refused as refusing:
                return _response(refusing.outcome)
            except OpenAIError as error:
                return _response(refusal(error))

        return answered


def _response(outcome: Outcome) -> Response:
    """An answer that is known as a whole."""
    return Response(json_bytes(outcome.message), outcome.status, outcome.headers, "application/json")


def refused(
    status: int, message: str, *, code: int = INVALID_REQUEST, data: Any = None, id_: RequestId | None = None
) -> Refused:
    """A refusal with a status of its own."""
    return Refused(Outcome(failure(id_, code, message, data), status))


def parsed(body: bytes) -> Any:
    """What a body says; raises Refused 400."""
    try:
        return keepable.parsed(body.decode())
    except (ValueError, RecursionError) as error:
        raise refused(400, "Parse error", code=PARSE_ERROR) from error
    except keepable.Unkeepable as error:
        raise refused(400, f"{error.path}: {error.reason}") from error


def message(said: Any) -> JSONRPCMessage:
    """The one message that a body holds; raises Refused 400."""
    try:
        return jsonrpc_message_adapter.validate_python(said, by_name=False)
    except ValidationError as error:
        raise refused(400, "The body must be one JSON-RPC request, notification or response.") from error


def accepts(request: Request, *, json: bool = False, stream: bool = False) -> None:
    """Raise Refused 406 where the caller would not understand what it may get."""
    takes_json, takes_stream = check_accept_headers(request)
    if (json and not takes_json) or (stream and not takes_stream):
        needed = [kind for kind, is_needed in (("application/json", json), ("text/event-stream", stream)) if is_needed]
        raise refused(406, f"Send 'Accept: {', '.join(needed)}'.")


def pass_limits(request: Request, key_id: str, asked: JSONRPCRequest) -> None:
    """Count a call of a tool against its key's limit. Raises Refused 429 and 503."""
    if asked.method == "tools/call":
        try:
            limit(request, key_id)
        except OpenAIError as error:
            raise Refused(refusal(error, asked.id)) from error


def server(request: Request) -> Server[Any]:
    """The server that answers; raises OpenAIError 503."""
    found: Server[Any] = request.app.state.mcp()
    return found


def signing_key(request: Request, key_id: str) -> bytes:
    """What sessions of an API key are signed with; raises OpenAIError 503."""
    parts = context.of(request)
    return sessions.signing_key(parts.endpoint.serving().instance.metadata.uid, parts.keys.digest(key_id))
