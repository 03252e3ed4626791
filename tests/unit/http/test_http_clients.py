"""HTTP as clients speak it: offers to upgrade, 100-continue, trailers, HTTP/1.0. Raw sockets, because each client is another one."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.unit.http.test_request_limits import Quick, QuickHead, Site, calling

from sympozium_http.request_limits import LARGEST_HEAD, HeaderLimits, RequestLimits

OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
BODIES = {
    "length": b"content-length: 11\r\n\r\nhello there",
    "chunked": b"transfer-encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nthere\r\n0\r\n\r\n",
}


def post(headers: bytes, body: bytes, version: bytes = b"1.1") -> bytes:
    return b"POST / HTTP/" + version + b"\r\nhost: x\r\n" + headers + body


class Seen:
    """An application that returns what it saw of a request."""

    def __init__(self) -> None:
        self.app = Starlette(routes=[Route("/", self.tell, methods=["GET", "POST"]), Route("/stream", self.stream)])

    async def tell(self, request: Request) -> Response:
        body = (await request.body()).decode()
        return JSONResponse({"method": request.method, "body": body, "headers": dict(request.headers)})

    async def stream(self, _: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one "
            yield b"two"

        return StreamingResponse(pieces())


class TestOfferToUpgrade:
    @pytest.mark.parametrize("framing", BODIES)
    @pytest.mark.parametrize("http", [HeaderLimits, RequestLimits])
    async def test_the_body_is_read_whole(self, framing: str, http: type[HeaderLimits]) -> None:
        site = Site()
        async with calling(site, http) as caller:
            for _ in range(2):  # the connection stays open
                caller.writer.write(post(OFFER, BODIES[framing]))
                assert await caller.one_answer() == b"taken"
        assert site.bodies == [b"hello there", b"hello there"]

    @pytest.mark.parametrize("framing", BODIES)
    async def test_wherever_the_request_is_cut_into_pieces(self, framing: str) -> None:
        whole = post(OFFER, BODIES[framing])
        for cut in range(1, len(whole)):
            site = Site()
            async with calling(site, RequestLimits) as caller:
                caller.writer.write(whole[:cut])
                await asyncio.sleep(0)
                await asyncio.sleep(0.001)
                caller.writer.write(whole[cut:])
                assert await caller.one_answer() == b"taken"
            assert site.bodies == [b"hello there"]

    async def test_byte_by_byte(self) -> None:
        site = Site()
        async with calling(site, RequestLimits) as caller:
            for byte in post(OFFER, BODIES["chunked"]):
                caller.writer.write(bytes([byte]))
                await asyncio.sleep(0.0005)
            assert await caller.one_answer() == b"taken"
        assert site.bodies == [b"hello there"]

    @pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0, h2c", b"no-such"])
    async def test_the_application_sees_no_offer(self, protocol: bytes) -> None:
        async with calling(Site(), RequestLimits, Seen().app) as caller:
            offer = b"Connection: upgrade\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AA\r\n"
            caller.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n" + offer + b"\r\n")
            answer = await caller.one_answer()
        assert b"GET" in answer
        assert b"http2-settings" not in answer
        assert protocol not in answer

    async def test_a_connection_that_the_client_closes_is_closed(self) -> None:
        site = Site()
        async with calling(site, RequestLimits) as caller:
            offer = OFFER.replace(b"Upgrade,", b"close, Upgrade,", 1)
            caller.writer.write(post(offer, BODIES["length"]))
            assert await caller.answer() == (200, b"taken")

    async def test_a_slow_body_is_cut_off_as_any_other(self) -> None:
        site = Site()
        async with calling(site, Quick) as caller:
            caller.writer.write(post(OFFER, BODIES["length"][:-1]))
            assert (await caller.answer())[0] == 408
        assert site.bodies == [None]

    async def test_a_slow_body_of_a_stream_may_take_its_time(self) -> None:
        site = Site()
        async with calling(site, QuickHead) as caller:
            whole = post(OFFER, BODIES["length"])
            caller.writer.write(whole[:-1])
            await asyncio.sleep(0.4)
            caller.writer.write(whole[-1:])
            assert await caller.one_answer() == b"taken"

    async def test_a_large_head_is_refused(self) -> None:
        async with calling(Site(), RequestLimits) as caller:
            caller.writer.write(post(OFFER + b"x: " + b"y" * LARGEST_HEAD + b"\r\n", BODIES["length"]))
            assert (await caller.answer())[0] == 431

    async def test_many_pipelined_offers_are_dropped(self) -> None:
        site = Site(answers_after=0.1)
        async with calling(site, RequestLimits) as caller:
            caller.writer.write(post(OFFER, BODIES["length"]) + post(OFFER, BODIES["length"]) * 3000)
            assert await caller.answer() == (200, b"taken")
        assert site.bodies == [b"hello there"]

    async def test_connect_is_refused(self) -> None:
        async with calling(Site(), RequestLimits) as caller:
            caller.writer.write(b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await caller.answer())[0] >= 400


class TestBody:
    async def test_100_continue_is_answered_before_the_body(self) -> None:
        site = Site()
        async with calling(site, RequestLimits) as caller:
            head, _, body = post(b"Expect: 100-Continue\r\n", BODIES["length"]).partition(b"\r\n\r\n")
            caller.writer.write(head + b"\r\n\r\n")
            async with asyncio.timeout(60):
                assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            caller.writer.write(body)
            assert await caller.one_answer() == b"taken"
        assert site.bodies == [b"hello there"]

    @pytest.mark.parametrize("offer", [b"", OFFER])
    async def test_trailers_end_a_chunked_body_and_add_no_header(self, offer: bytes) -> None:
        trailers = b"0\r\nx-checksum: 1\r\nauthorization: Bearer other\r\n\r\n"
        async with calling(Site(), RequestLimits, Seen().app) as caller:
            for _ in range(2):
                caller.writer.write(post(offer, BODIES["chunked"].replace(b"0\r\n\r\n", trailers)))
                answer = await caller.one_answer()
                assert b'"hello there"' in answer
                assert b"checksum" not in answer
                assert b"authorization" not in answer


class TestHttp10:
    async def test_a_whole_answer_has_a_length_and_closes(self) -> None:
        async with calling(Site(), RequestLimits) as caller:
            caller.writer.write(post(b"", BODIES["length"], b"1.0"))
            async with asyncio.timeout(60):
                answer = await caller.reader.read()
        assert b"content-length: 5\r\n" in answer
        assert answer.endswith(b"\r\n\r\ntaken")

    async def test_a_stream_ends_with_its_connection_and_has_no_chunks(self) -> None:
        async with calling(Site(), RequestLimits, Seen().app) as caller:
            caller.writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
            async with asyncio.timeout(60):
                answer = await caller.reader.read()
        assert b"transfer-encoding" not in answer
        assert b"connection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\none two")
