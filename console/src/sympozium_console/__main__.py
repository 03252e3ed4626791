"""``python -m sympozium_console``: one replica, with a port per surface, 8081 for agent pods, 9090 for metrics and probes."""

import os

import uvloop

from sympozium_api import logs
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_console import console_settings
from sympozium_console.console_context import ConsoleContext, assemble
from sympozium_console.console_database import open_database
from sympozium_console.console_loops import supervised
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ConsoleSettings
from sympozium_console.surfaces import listeners
from sympozium_http.serving import serve


async def main(settings: ConsoleSettings) -> None:
    """Serve until SIGTERM."""
    metrics = ConsoleMetrics()
    database = await open_database(settings, metrics.observe_statement)
    try:
        async with Client.connect(from_environment()) as client:
            await _serve(assemble(client, settings, SystemClock(), database, metrics))
    finally:
        await database.close()


async def _serve(context: ConsoleContext) -> None:
    def drain() -> None:
        context.draining.set()
        context.instance_runs.drain()

    try:
        await serve(
            listeners(context), drain=drain, grace_seconds=context.settings.grace_seconds, beside=supervised(context)
        )
    finally:
        await context.instance_runs.finish_writes()
        await context.audit.flush()
        await context.limits.windows.close()


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main(console_settings.from_environment(os.environ)))
