"""Writes that nobody waits for, and that are repeated while the API server is away."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from sympozium_api.client import ApiUnavailable

log = structlog.get_logger()

_ATTEMPTS = 8
_BACKOFF_SECONDS = 0.25


class BackgroundWrites:
    """What goes on after its caller."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def retry(self, run: tuple[str, str], write: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Repeat a write of a run until the API server has taken it, for about a minute."""
        for attempt in range(_ATTEMPTS):
            with contextlib.suppress(ApiUnavailable):
                await write()
                return
            await asyncio.sleep(_BACKOFF_SECONDS * 2**attempt)
        log.error("run not changed: the API server is away; its timeout ends it", namespace=run[0], run=run[1])
