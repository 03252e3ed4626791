"""The Deployment ``sympozium-runs``: the runs surface for runs whose instance has no web endpoint, made by ``kubectl apply``."""

import os

import uvloop

from sympozium_api import logs, names
from sympozium_api.client import Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_runs import tracing
from sympozium_runs.board import Board
from sympozium_runs.identity import PodTokens
from sympozium_runs.intake import BoundedHead
from sympozium_runs.serving import Listener, serve
from sympozium_runs.store import Store
from sympozium_runs.surface import create_surface

_GRACE_SECONDS = 25
"""Below the pod's own grace period of 30 s: a pod that is cut off goes on with another replica."""


async def main() -> None:
    """Serve port 8081 until SIGTERM."""
    clock = SystemClock()
    spans = tracing.from_environment(os.environ, service="sympozium-runs", resource={})
    async with Client.connect(from_environment()) as client:
        surface = create_surface(Store(client, clock), Board(), PodTokens(client), clock, tracing=spans)
        await serve([Listener(surface, names.RUNS_PORT, BoundedHead)], drain=lambda: None, grace_seconds=_GRACE_SECONDS)
    spans.close()


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main())
