"""Writes that nobody waits for, repeated while the API server is unreachable."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from sympozium_api.client import ApiUnavailable

log = structlog.get_logger()

_ATTEMPTS = 8
_BACKOFF_SECONDS = 0.25
"""Before the second attempt; it doubles before each further one."""


class BackgroundWrites:
    """Tasks that outlive the request that started them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task and keep a reference to it until it ends: the event loop itself holds none."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def retry(self, run: tuple[str, str], write: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Repeat a write of a run, given as namespace and name, until the API server has taken it, for about a minute."""
        for attempt in range(_ATTEMPTS):
            with contextlib.suppress(ApiUnavailable):
                await write()
                return
            await asyncio.sleep(_BACKOFF_SECONDS * 2**attempt)
        log.error(
            "run not updated: the API server is unreachable; the run's timeout ends it", namespace=run[0], run=run[1]
        )
