"""``python -m sympozium_webproxy``: one replica of an instance's web endpoint, ports 8080 (clients) and 8081 (agent pods)."""

import os

import uvloop

from sympozium_api import logs, names
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_runs.intake import BoundedHead
from sympozium_runs.serving import Listener, serve
from sympozium_webproxy import settings as settings_module
from sympozium_webproxy.assembly import assemble
from sympozium_webproxy.settings import Settings


async def main(settings: Settings) -> None:
    """Serve until SIGTERM."""
    async with Client.connect(from_environment()) as client:
        proxy = assemble(client, settings, SystemClock())

        def drain() -> None:
            proxy.context.draining = True

        listeners = [Listener(proxy.app, names.HTTP_PORT), Listener(proxy.surface, names.RUNS_PORT, BoundedHead)]
        await serve(
            listeners,
            drain=drain,
            linger_seconds=settings.linger_seconds,
            grace_seconds=settings.grace_seconds,
            beside=proxy.watches,
        )


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main(settings_module.from_environment(os.environ)))
