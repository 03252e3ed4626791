"""Client disconnects: what stops when a caller closes its connection before it has its answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import Message, Receive, Send


@contextmanager
def calls(receive: Receive, callback: Callable[[], None]) -> Iterator[None]:
    """Call back once if the caller disconnects while the body of this context runs."""
    waiting = asyncio.create_task(_wait(receive, callback))
    try:
        yield
    finally:
        waiting.cancel()


@asynccontextmanager
async def cancels(receive: Receive) -> AsyncIterator[None]:
    """Cancel the body of this context if the caller disconnects; the statement after it runs either way."""
    try:
        async with asyncio.timeout(None) as until_disconnect:
            with calls(receive, lambda: until_disconnect.reschedule(0)):
                yield
    except TimeoutError:
        if not until_disconnect.expired():
            raise  # a timeout of the body's own


class CallerSend:
    """``send`` of a caller that may leave: later messages are dropped, and so is one that waits for the caller to read."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._left = asyncio.Event()

    def leave(self) -> None:
        """Drop all messages from now on."""
        self._left.set()

    async def __call__(self, message: Message) -> None:
        """Send a message, unless the caller has left."""
        if self._left.is_set():
            return
        sending, leaving = asyncio.ensure_future(self._sent(message)), asyncio.ensure_future(self._left.wait())
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            leaving.cancel()

    async def _sent(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # the connection is gone
            self.leave()


async def _wait(receive: Receive, callback: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the rest of a body that nobody reads
    callback()
