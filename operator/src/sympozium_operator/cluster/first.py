"""Steps of which the first to end ends the others."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first(*steps: Coroutine[Any, Any, object], grace: float | None = None) -> None:
    """Run all steps until one of them ends, and cancel the others; raise its exception, if it has one.

    ``grace``: seconds to wait for the cancelled ones; None: until they have ended, however long that takes.
    """
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=grace)
    for task in done:
        task.result()
