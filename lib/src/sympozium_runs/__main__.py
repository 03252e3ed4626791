"""The Deployment ``sympozium-runs``: the agent API for runs of instances without a web endpoint, created by ``kubectl apply``."""

import os

import uvloop
from starlette.types import ASGIApp

from sympozium_api import environment, logs, names
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_api.settings_parser import SettingsParser, boolean
from sympozium_http import tracing
from sympozium_http.metrics_endpoint import MetricsEndpoint
from sympozium_http.request_limits import HeaderLimits
from sympozium_http.serving import Listener, serve
from sympozium_runs.agent_api import create_agent_api
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import RunBroker
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.run_store import RunStore

_GRACE_SECONDS = 25
"""Below this pod's own grace period of 30 s. An agent pod that is cut off continues with another replica."""


async def main() -> None:
    """Serve ports 8081 and 9090 until SIGTERM."""
    clock = SystemClock()
    spans = tracing.from_environment(os.environ, service="sympozium-runs", resource={})
    async with Client.connect(from_environment()) as client:
        metrics = AgentApiMetrics()
        agent_api: ASGIApp = create_agent_api(
            RunStore(client, clock), RunBroker(), PodTokens(client), clock, metrics=metrics, tracing=spans
        )
        if SettingsParser(os.environ).read(environment.METRICS_ON_HTTP, "false", boolean):
            agent_api = MetricsEndpoint(metrics.registry, agent_api)
        listeners = [
            Listener(agent_api, names.RUNS_PORT, HeaderLimits),
            Listener(MetricsEndpoint(metrics.registry), names.METRICS_PORT),
        ]
        await serve(listeners, drain=lambda: None, grace_seconds=_GRACE_SECONDS)
    spans.close()


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main())
