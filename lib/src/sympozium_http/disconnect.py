"""Client disconnects: what stops when a caller closes its connection before it has its answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import Receive


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


async def _wait(receive: Receive, callback: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the rest of a body that nobody reads
    callback()
