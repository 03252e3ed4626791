"""``python -m sympozium_webproxy``: one replica of an instance's web endpoint, ports 8080 (clients), 8081 (agent pods), 9090 (metrics)."""

import os

import uvloop

from sympozium_api import logs, names
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_http import tracing
from sympozium_http.metrics_endpoint import MetricsEndpoint
from sympozium_http.request_limits import HeaderLimits
from sympozium_http.serving import Listener, serve
from sympozium_webproxy import settings as settings_module
from sympozium_webproxy.assembly import assemble
from sympozium_webproxy.settings import WebProxySettings


async def main(settings: WebProxySettings) -> None:
    """Serve until SIGTERM."""
    resource = {"service.instance.id": settings.pod_ip, "k8s.namespace.name": settings.namespace}
    spans = tracing.from_environment(os.environ, service="sympozium-web-proxy", resource=resource)
    async with Client.connect(from_environment()) as client:
        proxy = assemble(client, settings, SystemClock(), spans)

        def drain() -> None:
            proxy.context.draining = True
            proxy.idle.drain()
            proxy.context.runs.drain()

        registry = proxy.context.metrics.registry
        listeners = [
            Listener(MetricsEndpoint(registry, proxy.app) if settings.metrics_on_http else proxy.app, names.HTTP_PORT),
            Listener(proxy.agent_api, names.RUNS_PORT, HeaderLimits),
            Listener(MetricsEndpoint(registry), names.METRICS_PORT),
        ]
        try:
            await serve(
                listeners,
                drain=drain,
                linger_seconds=settings.linger_seconds,
                grace_seconds=settings.grace_seconds,
                beside=proxy.watches,
            )
        finally:
            await proxy.context.runs.finish_writes()
            await proxy.usage_reports.report()
    spans.close()


if __name__ == "__main__":
    process_settings = settings_module.from_environment(os.environ)
    logs.configure(namespace=process_settings.namespace, instance=process_settings.instance)
    uvloop.run(main(process_settings))
