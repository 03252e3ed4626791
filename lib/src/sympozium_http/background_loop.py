"""Loops that a server needs as long as it serves: watches of the API server and the like."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()

FAILING_SECONDS = 30.0
"""Seconds of failures after which a loop that tries again by itself has to fail. Below ``_STABLE_SECONDS``."""

_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 30.0
_STABLE_SECONDS = 60.0
"""Seconds after which a loop that fails counts as one that worked."""
_GIVE_UP_SECONDS = 300.0
"""Seconds of failures after which the process is better started again."""


async def keep_running(
    name: str,
    loop: Callable[[], Coroutine[Any, Any, None]],
    *,
    on_failure: Callable[[], None] = lambda: None,
    gives_up: bool = True,
) -> None:
    """Run a loop without end, and again with backoff whenever it fails. Raises its failure once it has failed for five minutes.

    ``gives_up`` is False for a loop without which the server can serve most requests: it is started again without end.
    """
    time = asyncio.get_running_loop().time
    backoff, last_stable = _FIRST_BACKOFF, time()
    while True:
        began = time()
        try:
            await loop()
        except Exception as failure:  # noqa: BLE001 - whatever it is, the loop is needed
            error = failure
        else:
            error = RuntimeError(f"the loop {name} has ended")
        if time() - began > _STABLE_SECONDS:
            backoff, last_stable = _FIRST_BACKOFF, time()
        on_failure()
        log.error("background loop failed, starting it again", loop=name, exc_info=error)
        if gives_up and time() - last_stable > _GIVE_UP_SECONDS:
            raise error
        await asyncio.sleep(backoff)
        backoff = min(2 * backoff, _LONGEST_BACKOFF)
