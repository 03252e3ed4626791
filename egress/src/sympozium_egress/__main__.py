"""``python -m sympozium_egress``: one replica of the egress guard, ports 8082 (agent pods) and 9090 (metrics)."""

import os

import uvloop
from starlette.types import ASGIApp

from sympozium_api import logs, names
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_egress import egress_settings
from sympozium_egress.assembly import assemble
from sympozium_egress.egress_settings import EgressSettings
from sympozium_egress.tunnel_protocol import with_tunnels
from sympozium_http import tracing
from sympozium_http.metrics_endpoint import MetricsEndpoint
from sympozium_http.serving import Listener, serve

_LINGER_SECONDS = 3.0
"""Seconds for which a terminating pod still takes new calls, because Services learn of its end late."""
_GRACE_SECONDS = 600
"""Longest time of a call: a terminating pod finishes its calls."""


async def main(settings: EgressSettings) -> None:
    """Serve until SIGTERM."""
    spans = tracing.from_environment(os.environ, service="sympozium-egress", resource={})
    async with Client.connect(from_environment()) as client:
        guard = await assemble(client, settings, SystemClock(), spans)
        registry = guard.metrics.registry
        app: ASGIApp = MetricsEndpoint(registry, guard.app) if settings.metrics_on_http else guard.app
        await serve(
            [
                Listener(app, names.EGRESS_PORT, http=with_tunnels(guard.tunnels)),
                Listener(MetricsEndpoint(registry), names.METRICS_PORT),
            ],
            drain=lambda: None,
            linger_seconds=_LINGER_SECONDS,
            grace_seconds=_GRACE_SECONDS,
            beside=[guard.keep_forbidden],
        )
    spans.close()


if __name__ == "__main__":
    process_settings = egress_settings.from_environment(os.environ)
    logs.configure()
    uvloop.run(main(process_settings))
