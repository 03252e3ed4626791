"""A server that leaves no connection behind: at its end it has noticed that its callers, which are threads, have left."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def closing_server(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free port of the loopback interface, the value of this context."""
    serving = set[asyncio.Task[None]]()
    writers = set[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        writers.add(writer)
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for _ in range(2):
            await _rest()  # connections that the kernel has accepted already
            for writer in writers:
                writer.transport.abort()
        if serving:
            await asyncio.wait(serving, timeout=1)
        await _rest()


async def _rest() -> None:
    """Let the loop accept, begin and end what is under way: each takes a few turns, which time alone does not give."""
    for _ in range(10):
        await asyncio.sleep(0.001)
