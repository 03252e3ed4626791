"""Loops beside the console's server."""

from collections.abc import Sequence
from functools import partial

from sympozium_console.console_context import ConsoleContext, Loop
from sympozium_console.console_database import watch_version
from sympozium_http.background_loop import keep_running


def supervised(context: ConsoleContext) -> Sequence[Loop]:
    """Return what runs beside the server: each loop is counted and started again when it fails.

    Only the check of the database's version ends, and with it the server: a database with another schema must not be written.
    """
    failures = context.metrics.loop_failures
    loops = [
        partial(keep_running, name, loop, on_failure=failures.labels(name).inc, gives_up=False)
        for name, loop in context.loops.items()
    ]
    return [partial(watch_version, context.database), *loops]
