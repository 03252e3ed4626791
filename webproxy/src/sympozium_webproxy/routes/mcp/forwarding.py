"""Forwarding of a message of ``/sse`` to the replica that holds its stream (docs/decisions/0045).

The receiving replica proves first that it belongs to the instance, because its address may have become another pod's.
The forwarding replica signs the message, because only a replica may speak for a caller.
"""

import hmac
import secrets

import aiohttp
import structlog
from fastapi import APIRouter, Request, Response

from sympozium_http import request_state
from sympozium_webproxy import context
from sympozium_webproxy.identity import session_key
from sympozium_webproxy.protocol.mcp import sessions
from sympozium_webproxy.protocol.mcp.sessions import Session
from sympozium_webproxy.request.body import read_json_bytes
from sympozium_webproxy.routes.mcp.message import McpRoute, RefusedMessage, refused_message

log = structlog.get_logger()
router = APIRouter(route_class=McpRoute)

HEADER = "x-sympozium-passed-on"
"""Header of a forwarded message: the signature of the replica that authenticated its caller."""
_PROOF_PATH = "/message/replica"
_MAX_NONCE = 64
_MAX_ANSWER_BYTES = 65536
_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=2)
_KEPT = ("content-type", "retry-after")
"""Headers of the other replica's answer that the caller gets."""


class _NotAReplica(Exception):
    """The pod at a replica's address does not have the instance's session key."""


@router.get(_PROOF_PATH)
async def prove(request: Request, nonce: str) -> Response:
    """Return the proof that this replica has the instance's session key."""
    if len(nonce) > _MAX_NONCE:
        raise refused_message(400, "The nonce is too long.")
    settings = context.of(request).settings
    return Response(sessions.replica_proof(session_key.read(settings.session_key), nonce, settings.address))


async def body(request: Request, token: str, key: bytes) -> bytes:
    """Return the body of a forwarded message. Raises RefusedMessage 404 if no replica has signed it, most often before reading it."""
    parts = context.of(request)
    now = parts.clock.now().timestamp()
    digest = sessions.signed_digest(request.headers[HEADER], token, key, now=now)
    if digest is None:
        raise _no_session()
    content = await read_json_bytes(request)
    if not sessions.is_body_of(digest, content):
        raise _no_session()
    return content


async def forward(request: Request, token: str, session: Session, key: bytes, content: bytes) -> Response:
    """Send a message to the replica that holds its session's stream. Raises RefusedMessage 404 if that replica is gone."""
    if HEADER in request.headers:
        raise _no_session()  # because another replica has this address now
    url = f"http://{session.replica}"
    headers = {"host": request.headers.get("host", ""), "x-request-id": request_state.of(request).request_id}
    signature = sessions.sign_message(token, key, content, now=context.of(request).clock.now().timestamp())
    try:
        async with aiohttp.ClientSession(url, timeout=_TIMEOUT, headers=headers) as http:
            await _check_replica(http, session_key.read(context.of(request).settings.session_key), session.replica)
            signed = {"content-type": "application/json", HEADER: signature}
            async with http.post(
                "/message", params={"sessionId": token}, data=content, headers=signed, allow_redirects=False
            ) as response:
                kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
                return Response(await response.content.read(_MAX_ANSWER_BYTES), response.status, kept)
    except (aiohttp.ClientError, TimeoutError, OSError, _NotAReplica) as error:
        log.info("the replica of an MCP session is gone", replica=session.replica, reason=type(error).__name__)
        raise _no_session() from error


async def _check_replica(http: aiohttp.ClientSession, key: bytes, address: str) -> None:
    nonce = secrets.token_hex(16)
    async with http.get(_PROOF_PATH, params={"nonce": nonce}, allow_redirects=False) as response:
        proof = await response.content.read(_MAX_NONCE)
    if not hmac.compare_digest(proof, sessions.replica_proof(key, nonce, address).encode()):
        raise _NotAReplica


def _no_session() -> RefusedMessage:
    return refused_message(404, "There is no such session.")
