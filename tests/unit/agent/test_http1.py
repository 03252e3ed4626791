"""The HTTP/1.1 client reads an early response while the request's body is still open, which httpx2 does not."""

import asyncio
import gc
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from sympozium_agent.transport.http1 import HttpResponse, TransportError, open_request

CHUNKED = {"transfer-encoding": "chunked"}
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handler(reader, writer)
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    running.close()


async def test_an_answer_is_read_while_the_body_is_still_open() -> None:
    async def cancels(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 410 Gone\r\ncontent-length: 4\r\n\r\ngone")
        await writer.drain()

    async with server(cancels) as url, open_request("POST", f"{url}/x", CHUNKED, connect_timeout=1) as request:
        request.send(b"begun\n")
        assert await request.response() == HttpResponse(410, b"gone")
        request.send(b"too late\n")


async def test_an_idle_connection_is_probed_so_that_a_peer_whose_node_is_gone_is_noticed() -> None:
    async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with server(answers) as url, open_request("GET", f"{url}/x", {}, connect_timeout=1) as request:
        connection = request._writer.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
        request.finish()
        await request.response()


async def test_each_piece_leaves_as_its_own_chunk_at_once() -> None:
    seen: list[bytes] = []

    async def reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readexactly(len(b"2\r\na\n\r\n")))
        writer.write(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
        )
        seen.append(await reader.readexactly(len(b"2\r\nb\n\r\n0\r\n\r\n")))

    async with server(reads) as url, open_request("POST", f"{url}/x", CHUNKED, connect_timeout=1) as request:
        request.send(b"a\n")
        assert await request.response() == HttpResponse(200, b"{}")
        request.send(b"b\n")
        request.finish()
        async with asyncio.timeout(1):
            while len(seen) < 2:
                await asyncio.sleep(0)
    assert seen == [b"2\r\na\n\r\n", b"2\r\nb\n\r\n0\r\n\r\n"]


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"HTTP/1.1 200", b"220 smtp.example ESMTP\r\n\r\n"],
)
async def test_half_a_response_is_a_transport_error(sent: bytes) -> None:
    async def breaks(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()

    async with server(breaks) as url, open_request("POST", f"{url}/x", CHUNKED, connect_timeout=1) as request:
        with pytest.raises(TransportError):
            await request.response()


async def test_a_reader_that_has_stopped_reading_counts_as_dead() -> None:
    released = asyncio.Event()

    async def stalls(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await released.wait()

    async with server(stalls) as url, open_request("POST", f"{url}/x", CHUNKED, connect_timeout=1) as request:
        for _ in range(40):
            request.send(b"x" * 1024 * 1024)
        with pytest.raises(TransportError):
            await request.response()
        released.set()


async def test_an_address_without_a_listener_is_a_transport_error() -> None:
    async def unused(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None: ...

    async with server(unused) as url:
        pass
    with pytest.raises(TransportError, match="connection refused"):
        async with open_request("GET", f"{url}/x", {}, connect_timeout=1):
            pass


@pytest.mark.parametrize("steps", range(14))
async def test_no_socket_is_lost_when_it_is_cancelled_as_it_connects(steps: int) -> None:
    async def connects(url: str) -> None:
        async with open_request("POST", url, CHUNKED, connect_timeout=1):
            await asyncio.sleep(10)

    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings(record=True) as lost:
        warnings.simplefilter("always")
        connecting = asyncio.create_task(connects(f"http://127.0.0.1:{listener.getsockname()[1]}/x"))
        for _ in range(steps):
            await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await asyncio.sleep(0.01)  # an aborted transport closes its socket in the loop's next turn
        del connecting
        gc.collect()
    assert not [each.message for each in lost if each.category is ResourceWarning]
