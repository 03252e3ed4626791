"""``python -m sympozium_console``: one replica of the management API, ports 8080 and 9090 (metrics)."""

import os

import uvloop

from sympozium_api import logs, names
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_console import console_settings
from sympozium_console.console_app import create_app
from sympozium_console.console_context import assemble
from sympozium_console.console_limits import ConsoleLimits
from sympozium_console.console_settings import ConsoleSettings
from sympozium_http.metrics_endpoint import MetricsEndpoint
from sympozium_http.serving import Listener, serve


async def main(settings: ConsoleSettings) -> None:
    """Serve until SIGTERM."""
    async with Client.connect(from_environment()) as client:
        context = assemble(client, settings, SystemClock())
        registry, app = context.metrics.registry, create_app(context)
        listeners = [
            Listener(
                MetricsEndpoint(registry, app) if settings.metrics_on_http else app, names.HTTP_PORT, ConsoleLimits
            ),
            Listener(MetricsEndpoint(registry), names.METRICS_PORT),
        ]
        await serve(listeners, drain=context.draining.set, grace_seconds=settings.grace_seconds)


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main(console_settings.from_environment(os.environ)))
