"""The HTTP/1.1 client reads an early response while the request's body is still open, which httpx2 does not."""

import asyncio
import gc
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from tests.fakes.agent_thread import in_thread
from tests.fakes.closing_server import closing_server

from sympozium_agent.transport import connection
from sympozium_agent.transport.connection import connect
from sympozium_agent.transport.errors import TransportError
from sympozium_agent.transport.http1 import Http1Request, HttpResponse, open_request
from sympozium_agent.transport.url import parse_url
from sympozium_agent.waiting import DeadlineExceeded, Scope

CHUNKED = {"transfer-encoding": "chunked"}
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
T = TypeVar("T")


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with closing_server(serve) as port:
        yield f"http://127.0.0.1:{port}"


async def during(
    url: str, headers: dict[str, str], work: Callable[[Http1Request, Scope], T], *, method: str = "POST"
) -> T:
    """Do something with a request, in a thread of its own."""

    def run(scope: Scope) -> T:
        with open_request(method, f"{url}/x", headers, scope, connect_timeout=60) as request:
            return work(request, scope)

    return await in_thread(run)


async def test_an_address_of_a_family_that_the_node_does_not_have_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with server(answers) as url:
        port = int(url.rpartition(":")[2])
        none = (socket.AF_APPLETALK, socket.SOCK_STREAM, 0, "", ("::1", port, 0, 0))
        there = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
        monkeypatch.setattr(connection, "_addresses", lambda *_: [none, there])
        response = await during(url, {}, lambda request, scope: request.response(scope), method="GET")
    assert response.status == 200


async def test_an_answer_is_read_while_the_body_is_still_open() -> None:
    async def cancels(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 410 Gone\r\ncontent-length: 4\r\n\r\ngone")
        await writer.drain()

    def speaks(request: Http1Request, scope: Scope) -> None:
        request.send(b"begun\n")
        assert request.response(scope) == HttpResponse(410, b"gone")
        request.send(b"too late\n")

    async with server(cancels) as url:
        await during(url, CHUNKED, speaks)


async def test_an_idle_connection_is_probed_so_that_a_peer_whose_node_is_gone_is_noticed() -> None:
    async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    def asks(request: Http1Request, scope: Scope) -> None:
        connection = request._connection.socket
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        request.finish()
        request.response(scope)

    async with server(answers) as url:
        await during(url, {}, asks, method="GET")


async def test_each_piece_leaves_as_its_own_chunk_at_once() -> None:
    seen: list[bytes] = []
    are_seen = threading.Event()

    async def reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readexactly(len(b"2\r\na\n\r\n")))
        writer.write(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
        )
        seen.append(await reader.readexactly(len(b"2\r\nb\n\r\n0\r\n\r\n")))
        are_seen.set()

    def speaks(request: Http1Request, scope: Scope) -> None:
        request.send(b"a\n")
        assert request.response(scope) == HttpResponse(200, b"{}")
        request.send(b"b\n")
        request.finish()
        assert are_seen.wait(1)

    async with server(reads) as url:
        await during(url, CHUNKED, speaks)
    assert seen == [b"2\r\na\n\r\n", b"2\r\nb\n\r\n0\r\n\r\n"]


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"HTTP/1.1 200", b"220 smtp.example ESMTP\r\n\r\n"],
)
async def test_half_a_response_is_a_transport_error(sent: bytes) -> None:
    async def breaks(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()

    async with server(breaks) as url:
        with pytest.raises(TransportError):
            await during(url, CHUNKED, lambda request, scope: request.response(scope))


async def test_a_reader_that_has_stopped_reading_counts_as_dead() -> None:
    released = asyncio.Event()

    async def stalls(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await released.wait()

    def speaks(request: Http1Request, scope: Scope) -> None:
        for _ in range(40):
            request.send(b"x" * 1024 * 1024)
        with pytest.raises(TransportError):
            request.response(scope)

    async with server(stalls) as url:
        await during(url, CHUNKED, speaks)
        released.set()


async def test_an_address_without_a_listener_is_a_transport_error() -> None:
    async def unused(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None: ...

    async with server(unused) as url:
        pass
    with pytest.raises(TransportError, match="connection refused"):
        await during(url, {}, lambda request, _: request.finish(), method="GET")


async def test_a_name_that_is_looked_up_for_long_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def looks_up(_: bytes, __: int, ___: int, ____: int, _____: int, flags: int) -> list[object]:
        if flags:
            raise socket.gaierror
        released.wait(5)
        return []

    monkeypatch.setattr("_socket.getaddrinfo", looks_up)
    url = parse_url("http://model.example/v1")
    with pytest.raises(TransportError, match="timed out") as failure:
        await in_thread(lambda scope: connect(url, 0.05, scope))
    assert failure.value.reason == "Timeout"
    with pytest.raises(DeadlineExceeded):
        await in_thread(lambda scope: connect(url, 5, scope.within(0.05)))
    released.set()


@pytest.mark.parametrize("pause", [0, 0.0005, 0.001, 0.002, 0.005])
async def test_no_socket_is_lost_when_it_is_cancelled_as_it_connects(pause: float) -> None:
    unwound = threading.Event()

    def connects(url: str, scope: Scope) -> None:
        try:
            with open_request("POST", url, CHUNKED, scope, connect_timeout=60):
                scope.sleep(10)
        finally:
            unwound.set()

    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings(record=True) as lost:
        warnings.simplefilter("always")
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        connecting = in_thread(lambda scope: connects(url, scope))
        await asyncio.sleep(pause)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert await asyncio.to_thread(unwound.wait, 60)
        del connecting
        gc.collect()
    assert not [each.message for each in lost if each.category is ResourceWarning]
