"""Serving until told to stop, or until going on would be wrong."""

import asyncio
import errno
import gc
import os
import signal
import socket
from collections.abc import Iterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sympozium_http.listening import bind_address, listening_sockets
from sympozium_http.serving import Listener, serve


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let garbage collection see this process's objects again."""
    yield
    gc.unfreeze()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class App:
    """One route that answers when the test says so."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.app = Starlette(routes=[Route("/", self.wait)])

    async def wait(self, _: Request) -> Response:
        self.asked.set()
        await self.answer.wait()
        return PlainTextResponse("whole")


async def test_a_request_under_way_is_completed_after_sigterm() -> None:
    app, port, drained = App(), free_port(), asyncio.Event()
    serving = asyncio.create_task(serve([Listener(app.app, port)], drain=drained.set, grace_seconds=10))
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=10)) as http:
        asked = asyncio.create_task(http.get(f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(app.asked.wait(), 60)
        assert gc.get_freeze_count(), "a full collection would stop all requests for a tenth of a second"
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(drained.wait(), 60)
        app.answer.set()
        assert (await asked).text == "whole"
    await asyncio.wait_for(serving, 60)


async def test_an_open_connection_gets_connection_close_and_loses_no_request() -> None:
    app, port, drained = App(), free_port(), asyncio.Event()
    app.answer.set()
    listeners = [Listener(app.app, port)]
    serving = asyncio.create_task(serve(listeners, drain=drained.set, linger_seconds=2, grace_seconds=10))
    limits = httpx2.Limits(max_connections=1)
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=10, limits=limits)) as http:
        before = await http.get(f"http://127.0.0.1:{port}/")
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(drained.wait(), 60)
        kept, new = [await http.get(f"http://127.0.0.1:{port}/") for _ in range(2)]
    assert "connection" not in before.headers
    assert kept.headers["connection"] == new.headers["connection"] == "close"
    assert (kept.text, new.text) == ("whole", "whole")
    await asyncio.wait_for(serving, 60)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_a_server_listens_on_ipv4_and_ipv6(host: str) -> None:
    app, port = App(), free_port()
    app.answer.set()
    serving = asyncio.create_task(serve([Listener(app.app, port)], drain=lambda: None, grace_seconds=1))
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=10)) as http:
        assert (await http.get(f"http://{host}:{port}/")).text == "whole"
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 60)


@pytest.mark.parametrize("missing", [socket.AF_INET, socket.AF_INET6])
def test_a_host_without_one_family_is_served_on_the_other(
    missing: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Socket(socket.socket):
        def __init__(self, family: int, *args: int) -> None:
            if family == missing:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *args)

    port = free_port()
    monkeypatch.setattr(socket, "socket", Socket)
    [only] = listening_sockets(port)
    assert only.family != missing
    only.close()


@pytest.mark.parametrize(
    ("address", "bound"), [("127.0.0.1", {"127.0.0.1"}), ("::1", {"::1"}), ("0.0.0.0", {"0.0.0.0", "::"})]
)
def test_a_server_listens_on_the_address_that_it_is_told(address: str, bound: set[str]) -> None:
    sockets = listening_sockets(free_port(), address)
    assert {one.getsockname()[0] for one in sockets} == bound
    for one in sockets:
        one.close()


@pytest.mark.parametrize("text", ["localhost", "127.0.0.1:80", "[::1]", "10.0.0.0/8"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address"):
        bind_address(text)


def test_a_port_that_is_taken_leaves_no_socket_open() -> None:
    port = free_port()
    first = listening_sockets(port)
    with pytest.raises(OSError, match="in use"):
        listening_sockets(port)
    for one in first:
        one.close()
    for one in listening_sockets(port):
        one.close()


async def test_a_server_stops_when_its_watch_ends() -> None:
    async def breaks() -> None:
        raise ValueError("an object that nobody can read")

    with pytest.raises(ValueError, match="nobody can read"):
        await serve([Listener(App().app, free_port())], drain=lambda: None, grace_seconds=1, beside=[breaks])


async def test_a_server_that_lost_its_watch_does_not_live_on_for_its_open_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sympozium_http.serving._FAILURE_GRACE_SECONDS", 0.2)
    app, port = App(), free_port()

    async def breaks() -> None:
        await app.asked.wait()
        raise ValueError("a bug")

    serving = asyncio.create_task(
        serve([Listener(app.app, port)], drain=lambda: None, grace_seconds=600, beside=[breaks])
    )
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=10)) as http:
        asked = asyncio.create_task(http.get(f"http://127.0.0.1:{port}/"))
        with pytest.raises(ValueError, match="a bug"):
            await asyncio.wait_for(serving, 60)
        await asyncio.gather(asked, return_exceptions=True)
