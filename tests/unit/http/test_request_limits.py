"""Limits on senders that are slow, endless or broken. Raw sockets, because a client library would not send such requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sympozium_http.request_limits import LARGEST_HEAD, BodySeconds, HeaderLimits, RequestLimits, with_body_seconds

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


SECONDS = 0.2
"""Time of a request where it is to run out, or to be shown not to count."""


class Impatient(RequestLimits):
    """Gives a connection, too, this time until something comes."""

    receive_seconds = SECONDS


class QuickHead(HeaderLimits):
    """Gives a connection the usual time until something comes, which on a busy machine takes a while, and from then on little."""

    def data_received(self, data: bytes) -> None:
        if self.receive_seconds != SECONDS:
            self.receive_seconds = SECONDS
            self._set_clock(SECONDS)
        super().data_received(data)


class Quick(QuickHead, RequestLimits):
    """The same for a request with its body."""


class QuickAfterwards(RequestLimits):
    """Gives little time as soon as the connection's first request is complete."""

    def on_message_complete(self) -> None:
        self.receive_seconds = SECONDS
        self._set_clock(SECONDS)
        super().on_message_complete()


@dataclass
class Caller:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, bytes]:
        """The status and the body of what comes, up to the end of the connection."""
        async with asyncio.timeout(60):
            head, _, body = (await self.reader.read()).partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    async def one_answer(self) -> bytes:
        """One response on a connection that stays open."""
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            return await self.reader.readexactly(length)


class Site:
    """An application that reads bodies, and what became of them."""

    def __init__(self, answers_after: float = 0) -> None:
        self._answers_after = answers_after
        self.bodies: list[bytes | None] = []
        self.app = Starlette(routes=[Route("/{path:path}", self.take, methods=["GET", "POST"])])

    async def take(self, request: Request) -> Response:
        try:
            self.bodies.append(await request.body())
        except ClientDisconnect:
            self.bodies.append(None)
        await asyncio.sleep(self._answers_after)
        return PlainTextResponse("taken")


@asynccontextmanager
async def calling(site: Site, http: type[HeaderLimits], application: ASGIApp | None = None) -> AsyncIterator[Caller]:
    config = uvicorn.Config(application or site.app, lifespan="off", log_config=None, http=http)
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: http(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    yield Caller(reader, writer)
    writer.transport.abort()
    server.close()
    while state.connections:
        await asyncio.sleep(0)


@pytest.mark.parametrize("sent", [HEAD[:20], HEAD[:-2], HEAD, HEAD + b"abc"])
async def test_a_request_that_does_not_end_in_time_gets_408_and_its_connection_is_closed(sent: bytes) -> None:
    async with calling(Site(), Quick) as caller:
        caller.writer.write(sent)
        status, body = await caller.answer()
    assert status == 408
    assert json.loads(body)["error"]["code"] == "request_timeout"


async def test_single_bytes_of_a_request_do_not_extend_the_deadline() -> None:
    site = Site()
    async with calling(site, Quick) as caller:

        async def drip() -> None:
            for byte in HEAD + b"abc":
                caller.writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert (await caller.answer())[0] == 408
        dripping.cancel()
    assert site.bodies == []


async def test_an_application_that_waits_for_the_rest_of_a_body_gets_a_disconnect() -> None:
    site = Site()
    async with calling(site, Quick) as caller:
        caller.writer.write(HEAD + b"abc")
        assert (await caller.answer())[0] == 408
    async with asyncio.timeout(60):
        while not site.bodies:
            await asyncio.sleep(0)
    assert site.bodies == [None]


async def test_a_silent_connection_is_closed_without_an_answer() -> None:
    async with calling(Site(), Impatient) as caller, asyncio.timeout(60):
        assert await caller.reader.read() == b""


async def test_line_breaks_do_not_keep_a_connection_open() -> None:
    async with calling(Site(), Quick) as caller, asyncio.timeout(60):
        caller.writer.write(HEAD + b"abcd")
        assert await caller.one_answer() == b"taken"
        caller.writer.write(b"\r\n")
        assert await caller.reader.read() == b""


@pytest.mark.parametrize("pieces", [1, 64])
async def test_a_head_without_bound_is_refused_in_however_many_pieces_it_arrives(pieces: int) -> None:
    site = Site()
    async with calling(site, RequestLimits) as caller:
        caller.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
        many = b"x-filler: " + b"a" * (LARGEST_HEAD // 4) + b"\r\n"
        data = many * 5 + b"\r\n"
        for at in range(0, len(data), -(-len(data) // pieces)):
            caller.writer.write(data[at : at + -(-len(data) // pieces)])
            await asyncio.sleep(0)
        status, body = await caller.answer()
    assert status == 431
    assert json.loads(body)["error"]["code"] == "headers_too_large"
    assert site.bodies == []


async def test_a_large_head_that_ends_in_time_passes() -> None:
    async with calling(Site(), RequestLimits) as caller:
        caller.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-filler: " + b"a" * (LARGEST_HEAD - 1024) + b"\r\n\r\n")
        assert await caller.one_answer() == b"taken"


@pytest.mark.parametrize("http", [RequestLimits, HeaderLimits])
@pytest.mark.parametrize("piece", [b"x-filler: " + b"a" * 4096 + b"\r\n", b"a" * 4096])
async def test_trailers_without_bound_are_refused(http: type[HeaderLimits], piece: bytes) -> None:
    async with calling(Site(), http) as caller:
        caller.writer.write(CHUNKED + b"4\r\nabcd\r\n0\r\nx-filler: a")
        for _ in range(2 * LARGEST_HEAD // len(piece)):
            caller.writer.write(piece)
            await asyncio.sleep(0)
        status, body = await caller.answer()
    assert status == 431
    assert json.loads(body)["error"]["code"] == "headers_too_large"


@pytest.mark.parametrize("http", [RequestLimits, HeaderLimits])
async def test_a_body_in_many_chunks_is_no_head(http: type[HeaderLimits]) -> None:
    site = Site()
    async with calling(site, http) as caller:
        caller.writer.write(CHUNKED + b"1\r\na\r\n" * LARGEST_HEAD)
        await caller.writer.drain()
        caller.writer.write(b"0\r\nx-checksum: 1\r\n\r\n")
        assert await caller.one_answer() == b"taken"
    assert site.bodies == [b"a" * LARGEST_HEAD]


async def test_the_time_between_requests_and_the_time_of_an_answer_do_not_count() -> None:
    async with calling(Site(), Quick) as caller:
        for _ in range(3):
            caller.writer.write(HEAD + b"abcd")
            assert await caller.one_answer() == b"taken"
            await asyncio.sleep(SECONDS * 1.2)


@pytest.mark.parametrize("after", [b"", b"\r\n"])
async def test_an_answer_may_take_any_time_whatever_follows_the_body(after: bytes) -> None:
    site = Site(answers_after=SECONDS * 2)
    async with calling(site, QuickAfterwards) as caller:
        caller.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in (b"4\r\nabcd\r\n", b"0\r\n\r\n", after):
            await asyncio.sleep(0.02)
            caller.writer.write(piece)
        assert await caller.one_answer() == b"taken"
    assert site.bodies == [b"abcd"]


async def test_a_body_may_take_any_time_where_only_the_head_is_limited() -> None:
    site = Site()
    async with calling(site, QuickHead) as caller:
        caller.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in (b"2\r\na\n", b"\r\n2", b"\r\nb\n\r\n", b"0\r\n\r\n"):
            await asyncio.sleep(SECONDS * 0.6)
            caller.writer.write(piece)
        assert await caller.one_answer() == b"taken"
    assert site.bodies == [b"a\nb\n"]


async def slow_upload(http: type[HeaderLimits], path: bytes) -> bytes:
    """A body that takes twice the time of a head."""
    site = Site()
    async with calling(site, http) as caller:
        caller.writer.write(HEAD.replace(b"POST /", b"POST " + path))
        for piece in (b"ab", b"cd"):
            await asyncio.sleep(SECONDS)
            caller.writer.write(piece)
        return await caller.reader.readline()


async def test_a_listener_and_each_route_of_uploads_have_a_time_for_bodies_of_their_own() -> None:
    patient = with_body_seconds(Quick, BodySeconds(60))
    assert await slow_upload(patient, b"/") == b"HTTP/1.1 200 OK\r\n"
    uploads = with_body_seconds(Quick, BodySeconds(SECONDS, {"/files": 60}))
    assert await slow_upload(uploads, b"/files/a?b=c") == b"HTTP/1.1 200 OK\r\n"
    assert b"408" in await slow_upload(uploads, b"/")
    assert b"408" in await slow_upload(uploads, b"/filesystem")


async def test_a_head_has_no_more_time_where_bodies_have() -> None:
    async with calling(Site(), with_body_seconds(Quick, BodySeconds(60))) as caller:
        caller.writer.write(HEAD[:10])
        status, _ = await caller.answer()
    assert status == 408


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100]
)
async def test_input_that_is_not_http_gets_400(junk: bytes) -> None:
    async with calling(Site(), Quick) as caller:
        caller.writer.write(junk)
        assert (await caller.answer())[0] == 400


async def test_a_pipelined_request_is_dropped_and_the_connection_closes_after_the_answer() -> None:
    site = Site(answers_after=0.05)
    async with calling(site, Quick) as caller:
        caller.writer.write(HEAD + b"abcd" + HEAD.replace(b"host: x", b"host: x\r\nx-other: y") + b"efgh")
        status, body = await caller.answer()
    assert (status, body) == (200, b"taken")
    assert site.bodies == [b"abcd"]


@pytest.mark.parametrize("after", [b"", HEAD + b"efgh", HEAD[:10], b"\0"])
async def test_a_disconnect_is_noticed_whatever_the_caller_sent_after_its_request(after: bytes) -> None:
    came, left = asyncio.Event(), asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        came.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        left.set()

    async with calling(Site(), Quick, application) as caller, asyncio.timeout(60):
        caller.writer.write(HEAD + b"abcd" + after)
        await came.wait()
        caller.writer.transport.abort()
        await left.wait()
