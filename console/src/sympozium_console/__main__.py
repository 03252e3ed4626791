"""``python -m sympozium_console``: one replica of the management API, ports 8080 (callers), 8081 (agent pods), 9090 (metrics)."""

import os

import uvloop

from sympozium_api import logs, names
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_console import console_settings
from sympozium_console.console_app import create_app
from sympozium_console.console_context import ConsoleContext, assemble
from sympozium_console.console_database import open_database
from sympozium_console.console_limits import ConsoleLimits
from sympozium_console.console_loops import supervised
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ConsoleSettings
from sympozium_http.metrics_endpoint import MetricsEndpoint
from sympozium_http.request_limits import BodySeconds, HeaderLimits
from sympozium_http.serving import Listener, serve


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
    registry, app, settings = context.metrics.registry, create_app(context), context.settings
    on_http = MetricsEndpoint(registry, app) if settings.metrics_on_http else app
    listeners = [
        Listener(on_http, names.HTTP_PORT, ConsoleLimits, BodySeconds(settings.body_seconds), settings.bind),
        Listener(MetricsEndpoint(registry), names.METRICS_PORT, address=settings.bind),
    ]
    if (agent_api := context.instance_runs.agent_api()) is not None:
        listeners.insert(1, Listener(agent_api, names.RUNS_PORT, HeaderLimits, address=settings.bind))

    def drain() -> None:
        context.draining.set()
        context.instance_runs.drain()

    try:
        await serve(listeners, drain=drain, grace_seconds=settings.grace_seconds, beside=supervised(context))
    finally:
        await context.instance_runs.finish_writes()
        await context.audit.flush()
        await context.limits.windows.close()


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main(console_settings.from_environment(os.environ)))
