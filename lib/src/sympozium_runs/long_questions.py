"""Questions that are kept in parts: waited for, and sent to few pods at a time, because a task takes several times its text."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sympozium_api import agent_protocol
from sympozium_api.client import ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.json_text import MAX_PLAIN_BYTES
from sympozium_api.run import AgentRun
from sympozium_runs.run_store import RunStore

_AT_ONCE = 1
"""Long tasks in memory at the same time: one of 8 MiB takes 160 MiB if it holds an emoji, because Python then keeps 4 bytes for each
character."""
_LARGEST_AT_ONCE = 256 * 1024
"""Characters of a question from which its task is made in a thread."""
_TURN_SECONDS = 10.0
"""Seconds for which a pod waits for its turn, before it is told to ask again."""
_WAIT_SECONDS = 2.0
"""Seconds for which a pod's request waits for missing parts, before the pod is told to ask again."""
_POLL_SECONDS = 0.1
_WRITE_SECONDS = 60.0
"""Seconds from a run's creation in which its web-proxy, or the replica at which its request is repeated, may write the parts."""

LOST = agent_protocol.error("cancelled", "The web-proxy ended before it had stored the whole request.", 499)
"""End of a run whose parts nobody writes any more: cancelled, so that a repeated Idempotency-Key makes another run."""


class PartsLost(Exception):
    """Parts of the question are missing, and nobody writes them any more."""


class LongQuestions:
    """Reads questions for the agent API."""

    def __init__(self, store: RunStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def of(self, run: AgentRun) -> AsyncIterator[tuple[AgentRun, Callable[[], None]]]:
        """Give a run with its whole question, and what is to be called once its task is sent. An exception calls it too.

        Raises PartsLost, ApiError, and ApiUnavailable, also while parts are being written.
        """
        if not run.has_contents:
            run = await self._store.head(*run.key)
        if not _is_long(run):
            yield run, lambda: None
            return
        until = asyncio.get_running_loop().time() + _WAIT_SECONDS
        while True:
            await self._turn()
            try:
                whole = await self._store.with_question(run)
                if not whole.has_parts:
                    yield whole, self._turns.release
                    return
            except BaseException:
                self._turns.release()
                raise
            self._turns.release()  # others do not wait for missing parts
            if (self._clock.now() - run.metadata.created).total_seconds() > _WRITE_SECONDS:
                raise PartsLost
            if asyncio.get_running_loop().time() > until:
                raise ApiUnavailable("parts of the question are not there yet")
            await asyncio.sleep(_POLL_SECONDS)

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError as error:
            raise ApiUnavailable("other long questions are being sent") from error


async def made(content: Callable[[], bytes], run: AgentRun) -> bytes:
    """Return what is made of a run's whole question: of a long one in a thread, because all callers would wait for a second."""
    text = run.spec.request_text
    takes_long = text is not None and (text.gzip is not None or len(text.text or "") > _LARGEST_AT_ONCE)
    return await asyncio.to_thread(content) if takes_long else content()


class TaskResponse(Response):
    """A task, as JSON. ``on_sent`` is called when it is sent, or cannot be."""

    media_type = "application/json"

    def __init__(self, content: bytes, on_sent: Callable[[], None]) -> None:
        super().__init__(content)
        self._on_sent = on_sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_sent()


def _is_long(run: AgentRun) -> bool:
    text = run.spec.request_text
    return run.has_parts or (text is not None and text.text is not None and len(text.text) > MAX_PLAIN_BYTES)
