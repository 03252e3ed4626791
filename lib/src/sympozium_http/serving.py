"""Serving ASGI applications until SIGTERM, and an orderly shutdown that completes the requests under way."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_http.listening import ALL_ADDRESSES, listening_sockets
from sympozium_http.request_limits import BodySeconds, HeaderLimits, RequestLimits, with_body_seconds

_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s for which load balancers keep idle connections: they close first, so no request meets a closing connection."""

_FAILURE_GRACE_SECONDS = 5
"""Seconds that open requests may take after the process has lost what it cannot serve without."""


@dataclass(frozen=True)
class Listener:
    """An application, its port, and how requests may arrive there."""

    app: ASGIApp
    port: int
    http: type[HeaderLimits] = RequestLimits
    """Limits on how requests arrive."""
    body_seconds: BodySeconds | None = None
    """Time for bodies, where ``http`` limits it; None: that of heads."""
    address: str = ALL_ADDRESSES
    """IP address of the host at which requests arrive."""
    websocket: type[asyncio.Protocol] | None = None
    """uvicorn's protocol of connections that are upgraded to WebSocket; None: an offer to upgrade is ignored."""


class _Server(uvicorn.Server):
    """A server that leaves signals alone: ``serve`` handles them once for all listeners."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _ConnectionClose:
    """ASGI layer that adds ``connection: close`` to answers once the process shuts down."""

    def __init__(self, app: ASGIApp, stop: asyncio.Event) -> None:
        self._app = app
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. An answer that has begun before the shutdown is not changed."""

        async def send_with_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._stop.is_set():
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_with_close)


async def serve(
    listeners: Sequence[Listener],
    *,
    drain: Callable[[], None],
    linger_seconds: float = 0,
    grace_seconds: int,
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, or until one of ``beside`` ends, because a server without its watches must not continue.

    The listeners end with the process: after a failure of ``beside`` open requests get a few seconds, not ``grace_seconds``,
    because the process has to be started again before it serves anybody. Raises that failure.

    First ``drain`` is called. For ``linger_seconds`` requests are still answered, with ``connection: close``, so that clients
    with open connections move on without losing a request. Then the listeners stop one after the other, each when its open
    requests have ended or ``grace_seconds`` have passed: requests of the first may wait for those of the second.
    """
    _spare_collections()
    stop = asyncio.Event()
    servers = [_server(_ConnectionClose(listener.app, stop), listener, grace_seconds) for listener in listeners]
    running = [
        asyncio.create_task(server.serve(listening_sockets(listener.port, listener.address)))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    others = [asyncio.create_task(work()) for work in beside]
    done, _ = await asyncio.wait({stopped, *running, *others}, return_when=asyncio.FIRST_COMPLETED)
    drain()
    if stop.is_set():
        await asyncio.wait(running, timeout=linger_seconds, return_when=asyncio.FIRST_COMPLETED)
    else:
        for server in servers:
            server.config.timeout_graceful_shutdown = min(grace_seconds, _FAILURE_GRACE_SECONDS)
    for server, task in zip(servers, running, strict=True):
        server.should_exit = True
        await task
    stopped.cancel()
    for other in others:
        other.cancel()
        if other in done:
            other.result()


def _spare_collections() -> None:
    """Exempt what the start has made from garbage collection: a full one would stop all requests for a tenth of a second to see it."""
    gc.collect()
    gc.freeze()


def _server(app: ASGIApp, listener: Listener, grace_seconds: int) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=with_body_seconds(listener.http, listener.body_seconds),
            ws=listener.websocket or "none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # ``forwarded`` reads them, of the proxies that a setting trusts
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=grace_seconds,
        )
    )
