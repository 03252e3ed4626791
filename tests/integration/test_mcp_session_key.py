"""The key of MCP sessions: who does not have it can neither direct a web-proxy's requests nor speak for a caller."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send
from tests.integration.conftest import KEY, Proxy, listening, session_key
from tests.integration.mcp_replicas import AUTH, BOTH, World, ask, request, three_replicas
from tests.integration.test_mcp_legacy_sse import Legacy

from sympozium_api.resources import INSTANCES, RUNS
from sympozium_webproxy.protocol.mcp import sessions
from sympozium_webproxy.protocol.mcp.sessions import Session

INITIALIZE = request(
    "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
)
FORWARDED = "x-sympozium-passed-on"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with three_replicas(tmp_path) as world:
        yield world


class Stranger:
    """Another pod, at the address of a replica that is gone."""

    def __init__(self, answer: bytes = b"secret of an internal service") -> None:
        self.requests: list[tuple[str, str]] = []
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        self.requests.append((scope["method"], scope["path"]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": self.answer})


def session_of(world: World | Proxy, replica: str, key_id: str = "api-key") -> Session:
    return sessions.begin(key_id, "", now=world.clock.now().timestamp(), replica=replica)


async def test_the_instances_uid_signs_no_session(proxy: Proxy) -> None:
    uid = proxy.kubernetes.object(INSTANCES, "demo")["metadata"]["uid"].encode()
    stranger = Stranger()
    async with listening(stranger) as url:
        session = session_of(proxy, url.removeprefix("http://"))
        token = sessions.seal(session, sessions.signing_key(uid, hashlib.sha256(KEY.encode()).digest()))
        answer = await proxy.http.post("/message", params={"sessionId": token}, json=request("ping"), headers=AUTH)
    assert (answer.status_code, stranger.requests) == (404, [])


@pytest.mark.parametrize("answer", [b"", b"secret of an internal service", b"x" * 100_000])
async def test_a_pod_that_took_over_a_replicas_address_gets_no_message(world: World, answer: bytes) -> None:
    first, stranger = world.replicas[0], Stranger(answer)
    async with listening(stranger) as url:
        session = session_of(world, url.removeprefix("http://"))
        key = sessions.signing_key(
            first.context.settings.session_key.read_bytes(), first.context.keys.digest("api-key")
        )
        params = {"sessionId": sessions.seal(session, key)}
        response = await first.http.post("/message", params=params, json=ask(1), headers=AUTH)
    assert (response.status_code, "secret" in response.text) == (404, False)
    assert stranger.requests == [("GET", "/message/replica")]


async def test_nobody_speaks_for_a_caller_with_an_access_token(proxy: Proxy) -> None:
    uid = proxy.kubernetes.object(INSTANCES, "demo")["metadata"]["uid"].encode()
    victim = replace(session_of(proxy, proxy.context.settings.address), key_id="oauth-" + "ab" * 16)
    key = sessions.signing_key(uid, None)
    token = sessions.seal(victim, key)
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    signature = sessions.sign_message(token, key, body, now=proxy.clock.now().timestamp())
    headers = {"content-type": "application/json", FORWARDED: signature}
    answer = await proxy.http.post("/message", params={"sessionId": token}, content=body, headers=headers)
    assert answer.status_code == 404
    assert not proxy.kubernetes.names(RUNS)


async def test_a_forwarded_message_is_valid_for_its_body_and_a_minute(world: World) -> None:
    first, second, _ = world.replicas
    async with first.http.stream("GET", "/sse", headers=AUTH) as stream:
        _, address = await Legacy(stream).event()
        token, settings = address.partition("sessionId=")[2], first.context.settings
        key = sessions.signing_key(settings.session_key.read_bytes(), first.context.keys.digest("api-key"))
        body = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
        signature = sessions.sign_message(token, key, body, now=world.clock.now().timestamp())

        async def send(content: bytes, at: Any = first) -> int:
            headers = {"content-type": "application/json", FORWARDED: signature}
            response: httpx2.Response = await at.http.post(address, content=content, headers=headers)
            return response.status_code

        assert await send(body) == 202
        assert await send(body.replace(b"1,", b"2,")) == 404
        assert await send(body, second) == 404, "a message is forwarded once"
        world.clock.advance(61)
        assert await send(body) == 404


async def test_no_body_is_read_for_a_forged_signature(proxy: Proxy) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"["
        raise AssertionError("the web-proxy waits for the rest of the body")

    headers = {"content-type": "application/json", "content-length": "60000", FORWARDED: "1.ab.forged"}
    with pytest.raises(AssertionError):
        await proxy.http.post("/message?sessionId=e30.e30", content=body(), headers=headers)
    headers.pop("content-length")
    answer = await proxy.http.post("/message?sessionId=e30.e30", content=b"{" * 70_000, headers=headers)
    assert answer.status_code == 404, "not 413, which needs the body's length"


async def test_sessions_of_another_key_end_and_clients_begin_new_ones(proxy: Proxy) -> None:
    headers = {**AUTH, **BOTH}
    begun = await proxy.http.post("/mcp", json=INITIALIZE, headers=headers)
    old = {"mcp-session-id": begun.headers["mcp-session-id"]}
    assert (await proxy.http.post("/mcp", json=request("ping"), headers=headers | old)).status_code == 200
    session_key(proxy.keys, "7" * 64)
    assert (await proxy.http.post("/mcp", json=request("ping"), headers=headers | old)).status_code == 404
    begun = await proxy.http.post("/mcp", json=INITIALIZE, headers=headers)
    new = {"mcp-session-id": begun.headers["mcp-session-id"]}
    assert (await proxy.http.post("/mcp", json=request("ping"), headers=headers | new)).status_code == 200


@pytest.mark.parametrize("content", [None, "", "short"])
async def test_without_a_session_key_only_sessions_are_refused(proxy: Proxy, content: str | None) -> None:
    file = session_key(proxy.keys, content or "")
    if content is None:
        file.unlink()
    answer = await proxy.http.post("/mcp", json=INITIALIZE, headers={**AUTH, **BOTH})
    assert (answer.status_code, answer.json()["error"]["data"]["type"]) == (503, "session_key_missing")
    assert (await proxy.http.get("/sse", headers={**AUTH, **BOTH})).status_code == 503
    assert (await proxy.http.get("/v1/models", headers=AUTH)).status_code == 200
