"""Upgrades to WebSocket pass the bounded intake as they are, where a listener takes them, and no clock ends them."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import websocket
from tests.unit.http.test_request_limits import SECONDS, Caller, Quick, Site

from sympozium_http.request_limits import LARGEST_HEAD, RequestLimits

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
OFFER = b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
KEY = b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


class Echo(asyncio.Protocol):
    """A server of WebSocket that echoes frames, all of which are short, as uvicorn makes it."""

    heads: list[bytes]

    def __init__(self, config: Any, server_state: Any, app_state: Any) -> None:
        del config, server_state, app_state
        self._head, self._open = b"", False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._open:
            size, mask, content = data[1] & 0x7F, data[2:6], data[6:]
            plain = bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))
            self._transport.write(bytes([data[0], size]) + plain)
            return
        self._head += data
        self.heads.append(self._head)
        key = self._head.lower().partition(b"sec-websocket-key: ")[2]
        accept = base64.b64encode(hashlib.sha1(self._head[-len(key) :].split(b"\r\n")[0] + MAGIC).digest())
        head = b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: " + accept
        self._transport.write(head + b"\r\n\r\n")
        self._open = True


@asynccontextmanager
async def serving(
    site: Site, protocol: type[asyncio.Protocol] | None = Echo, http: type[RequestLimits] = Quick
) -> AsyncIterator[tuple[str, int]]:
    Echo.heads = []
    config = uvicorn.Config(site.app, lifespan="off", log_config=None, http=http, ws=protocol or "none")
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: http(config, state, {}), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()
    for connection in list(state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)


@asynccontextmanager
async def calling(address: tuple[str, int]) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection(*address)
    yield Caller(reader, writer)
    writer.transport.abort()


def talk(url: str) -> list[str | bytes]:
    """Say something, wait longer than a request may take to arrive, and say something else: with a library as it is."""
    client = websocket.create_connection(url, timeout=60, header=["Authorization: Bearer k"])
    said: list[str | bytes] = []
    for text in ("hello", "again"):
        client.send(text)
        said.append(client.recv())
        time.sleep(2 * SECONDS)
    client.close()
    return said


async def test_a_client_library_upgrades_and_stays() -> None:
    async with serving(Site()) as (host, port):
        assert await asyncio.to_thread(talk, f"ws://{host}:{port}/ws?a=b") == ["hello", "again"]
    [head] = Echo.heads
    assert head.startswith(b"GET /ws?a=b HTTP/1.1\r\n")
    assert b"authorization: Bearer k\r\n" in head
    assert b"upgrade: websocket\r\n" in head.lower()


async def test_after_a_request_on_the_same_connection() -> None:
    async with serving(Site()) as address, calling(address) as caller:
        caller.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await caller.one_answer() == b"taken"
        caller.writer.write(b"GET /ws HTTP/1.1\r\nhost: x\r\n" + OFFER + KEY + b"\r\n")
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")


async def test_wherever_the_offer_is_cut_into_pieces() -> None:
    whole = b"GET /ws HTTP/1.1\r\nhost: x\r\n" + OFFER + KEY + b"\r\n"
    async with serving(Site(), http=RequestLimits) as address:
        for cut in range(1, len(whole), 7):
            async with calling(address) as caller:
                caller.writer.write(whole[:cut])
                await asyncio.sleep(0.001)
                caller.writer.write(whole[cut:])
                assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")


async def test_a_slow_offer_is_cut_off_as_any_other_head() -> None:
    async with serving(Site()) as address, calling(address) as caller:
        caller.writer.write(b"GET /ws HTTP/1.1\r\nhost: x\r\n" + OFFER)
        assert (await caller.answer())[0] == 408
    assert Echo.heads == []


async def test_a_large_offer_is_refused() -> None:
    async with serving(Site(), http=RequestLimits) as address, calling(address) as caller:
        caller.writer.write(
            b"GET /ws HTTP/1.1\r\nhost: x\r\n" + OFFER + b"x: " + b"y" * LARGEST_HEAD + b"\r\n" + KEY + b"\r\n"
        )
        assert (await caller.answer())[0] == 431
    assert Echo.heads == []


async def test_an_offer_behind_a_request_that_is_still_answered_is_dropped() -> None:
    async with serving(Site(answers_after=0.1)) as address, calling(address) as caller:
        offer = b"GET /ws HTTP/1.1\r\nhost: x\r\n" + OFFER + KEY + b"\r\n"
        caller.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + offer)
        assert await caller.answer() == (200, b"taken")
    assert Echo.heads == []


@pytest.mark.parametrize(
    "request_head",
    [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n",
        b"GET / HTTP/1.0\r\nhost: x\r\ncontent-length: 2\r\n",
    ],
)
async def test_an_offer_with_a_body_or_another_method_is_a_request(request_head: bytes) -> None:
    site = Site()
    async with serving(site) as address, calling(address) as caller:
        caller.writer.write(request_head + OFFER + KEY + b"\r\nhi")
        assert await caller.one_answer() == b"taken"
    assert (site.bodies, Echo.heads) == ([b"hi"], [])


@pytest.mark.parametrize("protocol", [None, Echo])
async def test_other_offers_and_listeners_without_websocket_answer_as_before(
    protocol: type[asyncio.Protocol] | None,
) -> None:
    offer = OFFER if protocol is None else OFFER.replace(b"websocket\r\n", b"h2c\r\n", 1)
    async with serving(Site(), protocol) as address, calling(address) as caller:
        caller.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n" + offer + KEY + b"\r\n")
        assert await caller.one_answer() == b"taken"
    assert Echo.heads == []
