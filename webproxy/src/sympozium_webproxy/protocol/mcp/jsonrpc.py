"""JSON-RPC messages of MCP, and refusals rendered as JSON-RPC errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_types import INTERNAL_ERROR

from sympozium_http.refusal import Refusal

Message = dict[str, Any]
RequestId = str | int


@dataclass(frozen=True)
class JsonRpcResponse:
    """The response to one JSON-RPC request, with the HTTP status and headers to use unless a stream has begun."""

    message: Message
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def result(request_id: RequestId, value: dict[str, Any]) -> Message:
    """Return the response to a request that succeeded."""
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def failure(request_id: RequestId | None, code: int, message: str | None, data: Any = None) -> Message:
    """Return the response to a request that failed; ``request_id`` is None if no id could be read."""
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def render(refusal: Refusal, request_id: RequestId | None = None) -> JsonRpcResponse:
    """Return a refusal as a JSON-RPC error with the refusal's HTTP status."""
    data = {"type": refusal.code or "invalid_request_error"}
    message = failure(request_id, INTERNAL_ERROR, refusal.message, data)
    return JsonRpcResponse(message, refusal.status, refusal.headers)


def notification(method: str, params: Mapping[str, Any] | None) -> Message:
    """Return a notification."""
    return {"jsonrpc": "2.0", "method": method} | ({} if params is None else {"params": dict(params)})


def progress_message(token: RequestId, progress: float, message: str | None, total: float | None = None) -> Message:
    """Return a progress notification."""
    params = {"progressToken": token, "progress": progress, "total": total, "message": message}
    return notification("notifications/progress", {key: value for key, value in params.items() if value is not None})
