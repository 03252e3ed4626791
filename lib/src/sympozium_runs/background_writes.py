"""Writes that nobody waits for, repeated until the API server has taken them or refuses them for good."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog
from prometheus_client import Counter

from sympozium_api.client import ApiError, ApiUnavailable

log = structlog.get_logger()

_SURE_SECONDS = 60.0
"""Seconds for which a write is repeated whether its run is known to be open or not: its creation may still be on its way."""
_FIRST_BACKOFF = 0.25
_LONGEST_BACKOFF = 15.0

Write = Callable[[], Coroutine[Any, Any, object]]


class BackgroundWrites:
    """Tasks that outlive the request that started them.

    ``is_open`` tells of a run, by its namespace and name, that it has not ended. ``refused`` counts writes refused for good, by ``write``.
    """

    def __init__(self, is_open: Callable[[tuple[str, str]], bool], refused: Counter) -> None:
        self._is_open = is_open
        self._refused = refused
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task and keep a reference to it until it ends: the event loop itself holds none."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Wait for the tasks under way, at most ``seconds``."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def retry(self, run: tuple[str, str], write_name: str, write: Write) -> None:
        """Repeat a write of a run, given as namespace and name, until the API server has taken it, while the run is open.

        A refusal that cannot change ends the repetition. A missing permission can be granted again.
        """
        began, was_refused = asyncio.get_running_loop().time(), False
        for pause in _backoff():
            try:
                await write()
            except ApiUnavailable:
                pass
            except ApiError as error:
                if error.is_final and not was_refused:
                    self._report(run, write_name, error)
                    was_refused = True
                if error.is_final and not error.forbidden:
                    return
            else:
                return
            await asyncio.sleep(pause)
            if asyncio.get_running_loop().time() - began > _SURE_SECONDS and not self._is_open(run):
                break
        if not was_refused:
            log.error(
                "run not updated: the API server is unreachable; the run's timeout ends it",
                namespace=run[0],
                run=run[1],
                write=write_name,
            )

    def _report(self, run: tuple[str, str], write_name: str, error: ApiError) -> None:
        """Count and log a refusal, without its message, which may quote the run."""
        self._refused.labels(write_name).inc()
        log.error(
            "run not updated: the API server refuses it",
            namespace=run[0],
            run=run[1],
            write=write_name,
            status=error.status,
            reason=error.reason,
        )


def _backoff() -> Iterator[float]:
    """Yield the seconds before each further attempt."""
    pause = _FIRST_BACKOFF
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_BACKOFF)
