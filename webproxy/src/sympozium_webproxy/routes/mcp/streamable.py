"""``/mcp``: Streamable HTTP, with sessions (2025-03-26 to 2025-11-25) and without (2026-07-28)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from mcp.server.connection import Connection
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    MCP_PROTOCOL_VERSION_HEADER,
    InboundLadderRejection,
    InboundModernRoute,
    classify_inbound_request,
    find_duplicated_routing_header,
    unsupported_protocol_version_rejection,
    validate_mcp_param_headers,
)
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params, progress_token_from_params
from mcp_types import (
    HEADER_MISMATCH,
    PROTOCOL_VERSION_META_KEY,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    methods,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, is_version_at_least

from sympozium_runs.run_request import run_name
from sympozium_runs.runs import RunHandle
from sympozium_webproxy import context
from sympozium_webproxy.protocol.mcp import jsonrpc, results, sessions, stream_position
from sympozium_webproxy.protocol.mcp.jsonrpc import JsonRpcResponse, RequestId
from sympozium_webproxy.protocol.mcp.sessions import Session
from sympozium_webproxy.protocol.mcp.stream_position import StreamPosition
from sympozium_webproxy.request import owned_runs
from sympozium_webproxy.request.authentication import authenticate, authenticate_read
from sympozium_webproxy.request.body import parse, read_json_bytes
from sympozium_webproxy.routes.mcp.dispatch import Caller, Sink, dispatch
from sympozium_webproxy.routes.mcp.mcp_response import McpResponse, Work
from sympozium_webproxy.routes.mcp.message import (
    McpRoute,
    RefusedMessage,
    accepted,
    check_limits,
    check_stream_accepted,
    parse_body,
    parse_message,
    refused_message,
    server,
    signing_key,
)

router = APIRouter(route_class=McpRoute)

_SESSION = "mcp-session-id"
_BATCHES_OF = "2025-03-26"
"""The only version that has batches."""
_LARGEST_BATCH = 100
_PRIMED_SINCE = "2025-11-25"
"""Version since which clients can read an event without data."""


@router.post("/mcp")
async def post(request: Request) -> Response:
    """Answer one message."""
    key_id = await authenticate(request)
    accepted(request)
    content = await read_json_bytes(request)
    body = await parse(parse_body, content)
    if _is_stateless(request, body):
        return _stateless(request, key_id, body)
    return await _in_session(request, key_id, body)


@router.get("/mcp")
async def resume(request: Request) -> Response:
    """Resume the broken stream of a call. No other stream exists, because the server sends no message outside of a call."""
    key_id = await authenticate_read(request)
    if not _has_sessions(request):
        return _not_allowed()
    check_stream_accepted(request)
    session = _session(request, key_id)
    position = stream_position.position(request.headers.get("last-event-id", ""))
    if position is None:
        return _not_allowed()
    return await _resumed(request, Caller(request, key_id, session, durable=True), session, position)


@router.delete("/mcp")
async def end(request: Request) -> Response:
    """Answer 405: a session has no state that could be deleted (docs/decisions/0031)."""
    await authenticate_read(request)
    return _not_allowed()


def _not_allowed() -> Response:
    return Response(status_code=405, headers={"Allow": "POST"})


def _has_sessions(request: Request) -> bool:
    return request.headers.get(MCP_PROTOCOL_VERSION_HEADER, LATEST_HANDSHAKE_VERSION) in HANDSHAKE_PROTOCOL_VERSIONS


def _is_stateless(request: Request, body: Any) -> bool:
    """Return True for a message of the newest version: by its header, or by a body that calls for a header that is missing."""
    match body:
        case {"method": str() as method, "params": {"_meta": {**meta}}} if (
            MCP_PROTOCOL_VERSION_HEADER not in request.headers
        ):
            return method != "initialize" and PROTOCOL_VERSION_META_KEY in meta
    return not _has_sessions(request)


def _stateless(request: Request, key_id: str, body: Any) -> Response:
    message = parse_message(body)
    if isinstance(message, JSONRPCNotification):  # a client cancels by disconnecting, and has nothing else to notify
        _refuse(unsupported_protocol_version_rejection(request.headers.get(MCP_PROTOCOL_VERSION_HEADER, "")), None)
        return Response(status_code=202)
    if not isinstance(message, JSONRPCRequest):
        raise refused_message(400, "The body must be one JSON-RPC request or notification.")
    if twice := find_duplicated_routing_header(request.headers.items()):
        raise refused_message(400, f"{twice} header appears more than once", code=HEADER_MISMATCH, id_=message.id)
    headers = {name: value.strip() for name, value in request.headers.items()}
    route = classify_inbound_request(body, headers=headers)
    if isinstance(route, InboundLadderRejection):
        raise _rejected(route, message.id)
    _check_param_headers(request, message)
    check_limits(request, key_id, message)
    connection = _connection(route)

    async def work(sink: Sink) -> JsonRpcResponse:
        response = await dispatch(server(request), message, Caller(request, key_id), connection, sink)
        error = response.message.get("error")
        status = ERROR_CODE_HTTP_STATUS.get(error["code"], response.status) if error else response.status
        return JsonRpcResponse(response.message, status, response.headers)

    return _answer(request, work)


def _connection(route: InboundModernRoute) -> Connection:
    return Connection.from_envelope(route.protocol_version, route.client_info, route.client_capabilities)


def _check_param_headers(request: Request, message: JSONRPCRequest) -> None:
    params, lookup = message.params or {}, server(request).get_tool_input_schema
    name, arguments = params.get("name"), params.get("arguments") or {}
    if message.method == "tools/call" and lookup and isinstance(name, str) and isinstance(arguments, Mapping):
        schema = lookup(name)
        _refuse(schema and validate_mcp_param_headers(schema, arguments, request.headers), message.id)


def _refuse(rejection: Any, request_id: RequestId | None) -> None:
    if rejection:
        raise _rejected(rejection, request_id)


def _rejected(rejection: InboundLadderRejection, request_id: RequestId | None) -> RefusedMessage:
    status = ERROR_CODE_HTTP_STATUS.get(rejection.code, 400)
    return refused_message(status, rejection.message, code=rejection.code, data=rejection.data, id_=request_id)


async def _in_session(request: Request, key_id: str, body: Any) -> Response:
    if isinstance(body, list):
        return await _batch(request, key_id, body)
    message = parse_message(body)
    if isinstance(message, JSONRPCRequest) and message.method == "initialize":
        check_limits(request, key_id, message)
        return _begun(request, key_id, message)
    session = _session(request, key_id)
    caller = Caller(request, key_id, session, durable=True)
    if not isinstance(message, JSONRPCRequest):
        check_limits(request, key_id, message)
        await _heed(caller, session, message)
        return Response(status_code=202)
    check_limits(request, key_id, message)
    return _answer(request, _work(caller, session, message))


async def _batch(request: Request, key_id: str, body: list[Any]) -> Response:
    """Answer several messages of one body, as 2025-03-26 alone allows; its requests are answered together."""
    session = _session(request, key_id)
    messages = [parse_message(one) for one in body]
    requests = [one for one in messages if isinstance(one, JSONRPCRequest)]
    if session.version != _BATCHES_OF or not 1 <= len(messages) <= _LARGEST_BATCH:
        raise refused_message(
            400, f"The body must be one JSON-RPC message; in {_BATCHES_OF}, or 1 to {_LARGEST_BATCH}."
        )
    for one in requests:
        if one.method == "initialize":
            raise refused_message(400, "'initialize' cannot be in a batch.", id_=one.id)
        check_limits(request, key_id, one)
    caller = Caller(request, key_id, session, durable=True)
    for other in messages:
        if not isinstance(other, JSONRPCRequest):
            check_limits(request, key_id, other)
        await _heed(caller, session, other)
    if not requests:
        return Response(status_code=202)
    works = [_work(caller, session, one) for one in requests]

    async def work(sink: Sink) -> JsonRpcResponse:
        *others, last = await asyncio.gather(*(one(sink) for one in works))
        for other in others:
            sink(other.message, None)
        return last

    return _answer(request, work)


def _work(caller: Caller, session: Session, message: JSONRPCRequest) -> Work:
    """Return the work that answers a request of a session."""
    primed = is_version_at_least(session.version, _PRIMED_SINCE)
    connection = Connection.from_envelope(session.version, None, {})
    answering = server(caller.http)

    async def work(sink: Sink) -> JsonRpcResponse:
        def made() -> None:
            if primed:
                sink(None, StreamPosition(message.id, progress_token_from_params(message.params), 0).event_id())

        return await dispatch(answering, message, replace(caller, made=made), connection, sink)

    return work


async def _heed(caller: Caller, session: Session, message: JSONRPCMessage) -> None:
    """Handle a message that gets no answer: only a cancellation asks for anything."""
    if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
        await _cancel(caller, session, cancelled_request_id_from_params(message.params))


def _begun(request: Request, key_id: str, message: JSONRPCRequest) -> Response:
    wanted = (message.params or {}).get("protocolVersion")
    version = wanted if wanted in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION
    session = sessions.begin(key_id, version, now=context.of(request).clock.now().timestamp())
    token = sessions.seal(session, signing_key(request, key_id))
    connection = Connection.from_envelope(version, None, {})

    async def work(sink: Sink) -> JsonRpcResponse:
        response = await dispatch(server(request), message, Caller(request, key_id), connection, sink)
        return JsonRpcResponse(response.message, headers={} if "error" in response.message else {_SESSION: token})

    return _answer(request, work)


def _session(request: Request, key_id: str) -> Session:
    """Return the session of a request. Raises RefusedMessage 400, and 404, after which the client begins a new session."""
    token = request.headers.get(_SESSION)
    if not token:
        raise refused_message(400, "The header Mcp-Session-Id is missing; begin a session with 'initialize'.")
    now = context.of(request).clock.now().timestamp()
    session = sessions.unseal(token, signing_key(request, key_id), key_id=key_id, now=now)
    if session is None:
        raise refused_message(404, "There is no such session.")
    return session


async def _cancel(caller: Caller, session: Session, request_id: RequestId | None) -> None:
    if request_id is not None and (run := await owned_runs.run(caller.http, _run_name(caller, session, request_id))):
        await owned_runs.cancel(caller.http, run)


def _run_name(caller: Caller, session: Session, request_id: RequestId) -> str:
    parts = context.of(caller.http)
    instance = parts.instance_cache.served().instance
    return run_name(instance, caller.key_id, stream_position.run_key(session.id, request_id))


async def _resumed(request: Request, caller: Caller, session: Session, position: StreamPosition) -> Response:
    handle = await owned_runs.follow(caller.http, _run_name(caller, session, position.request_id))
    if handle is None:
        raise refused_message(404, "There is no such call.")

    async def work(sink: Sink) -> JsonRpcResponse:
        if is_version_at_least(session.version, _PRIMED_SINCE):
            sink(None, position.event_id())
        return await _rest(handle, session, position, sink)

    return _answer(request, work, close=handle.close)


async def _rest(handle: RunHandle, session: Session, position: StreamPosition, sink: Sink) -> JsonRpcResponse:
    """Send what the client does not have yet. If the run's pod sends its records to another replica, that is only the end."""
    sent = 0
    while True:
        record = await handle.next()
        if record is None:
            continue
        if record["type"] == "done" or record["type"] == "error":
            answer = results.of_end(handle.name, record).model_dump(mode="json", by_alias=True, exclude_none=True)
            result = methods.serialize_server_result("tools/call", session.version, answer)
            return JsonRpcResponse(jsonrpc.result(position.request_id, result))
        if position.progress_token is not None:
            message, weight = results.progress(record)
            before, sent = sent, sent + weight
            if sent > position.sent:
                at = StreamPosition(position.request_id, position.progress_token, sent).event_id()
                fresh = message[max(position.sent - before, 0) :]
                sink(jsonrpc.progress_message(position.progress_token, sent, fresh), at)


def _answer(request: Request, work: Work, *, close: Callable[[], None] = lambda: None) -> McpResponse:
    parts = context.of(request)
    keep_alive_seconds = parts.settings.keep_alive_seconds
    return McpResponse(work, close, accepted(request), keep_alive_seconds=keep_alive_seconds, budget=parts.budget)
