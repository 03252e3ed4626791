"""What Prometheus reads, and whether the process is alive. Names and labels are for dashboards: they do not change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from sympozium_operator.outcome import Key
from sympozium_operator.policy.admission import Admission
from sympozium_operator.queue import WorkQueue

STUCK_AFTER = 120.0
"""Seconds: if nothing begins or ends for longer although there is work, the queue does not turn."""

_DURATIONS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 30)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        name = "sympozium_operator"
        self.duration = Histogram(
            f"{name}_reconcile_duration_seconds",
            "Time of a reconcile",
            ["kind"],
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self.errors = Counter(f"{name}_reconcile_errors", "Reconciles to be repeated", ["kind"], registry=self.registry)
        self.runs = Counter(f"{name}_runs_ended", "Runs that ended", ["phase", "error"], registry=self.registry)
        self.leader = Gauge(f"{name}_leader", "1 while this replica leads", registry=self.registry)
        self._depth = Gauge(f"{name}_queue_depth", "Objects that wait for a look", registry=self.registry)
        self._active = Gauge(f"{name}_runs_active", "Runs that may have a Job", registry=self.registry)
        self._waiting = Gauge(f"{name}_runs_waiting", "Runs that wait for their turn", registry=self.registry)

    @asynccontextmanager
    async def reconcile(self, key: Key) -> AsyncIterator[None]:
        """Measure one reconcile."""
        with self.duration.labels(key.kind).time(), self.errors.labels(key.kind).count_exceptions():
            yield

    def observe(self, queue: WorkQueue, admission: Admission) -> None:
        """Read these figures whenever somebody asks for them."""
        self._depth.set_function(lambda: len(queue.schedule.ready))
        self._active.set_function(lambda: admission.counts()[0])
        self._waiting.set_function(lambda: admission.counts()[1])


@asynccontextmanager
async def served(metrics: Metrics, port: int, alive: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer /metrics and /healthz; that anything answers at all shows that the event loop turns."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), content_type="text/plain")

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if alive() else web.Response(status=503, text="the work queue does not turn\n")

    app = web.Application()
    app.add_routes([web.get("/metrics", show), web.get("/healthz", health)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    try:
        yield
    finally:
        await asyncio.wait_for(runner.cleanup(), timeout=2)
