"""The Deployment ``sympozium-runs``: the agent API for runs of instances without a web endpoint, created by ``kubectl apply``."""

import os

import uvloop

from sympozium_api import logs, names
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_http import tracing
from sympozium_http.request_limits import HeaderLimits
from sympozium_http.serving import Listener, serve
from sympozium_runs.agent_api import create_agent_api
from sympozium_runs.broker import RunBroker
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.run_store import RunStore

_GRACE_SECONDS = 25
"""Below this pod's own grace period of 30 s. An agent pod that is cut off continues with another replica."""


async def main() -> None:
    """Serve port 8081 until SIGTERM."""
    clock = SystemClock()
    spans = tracing.from_environment(os.environ, service="sympozium-runs", resource={})
    async with Client.connect(from_environment()) as client:
        agent_api = create_agent_api(RunStore(client, clock), RunBroker(), PodTokens(client), clock, tracing=spans)
        await serve(
            [Listener(agent_api, names.RUNS_PORT, HeaderLimits)], drain=lambda: None, grace_seconds=_GRACE_SECONDS
        )
    spans.close()


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main())
