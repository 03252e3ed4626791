"""What Prometheus reads, and whether the process is alive. Names and labels are for dashboards: they do not change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from sympozium_api import terminal_status
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import parsed
from sympozium_operator.result import Key
from sympozium_operator.scheduling.fair_queue import FairQueue
from sympozium_operator.scheduling.work_queue import WorkQueue

STALLED_AFTER = 120.0
"""Seconds: if nothing begins or ends for longer although there is work, the queue does not turn."""

_RUNS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Kubernetes' timestamps are whole seconds: nothing below one can be told apart."""
_DURATIONS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 30)


class OperatorMetrics:
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
        self.admitted = Counter(f"{name}_runs_admitted", "Runs that got their Job", registry=self.registry)
        self.queued = self._of_runs(f"{name}_run_queue_duration_seconds", "From a run's creation to its Job's")
        self.start = self._of_runs(
            f"{name}_run_start_duration_seconds", "From a Job's creation to its pod's first word"
        )
        self.total = self._of_runs(f"{name}_run_duration_seconds", "From a run's creation to its end", "phase")
        self.leader = Gauge(f"{name}_leader", "1 while this replica leads", registry=self.registry)
        self._depth = Gauge(f"{name}_queue_depth", "Objects that wait for a look", registry=self.registry)
        self._active = Gauge(f"{name}_runs_active", "Runs that may have a Job", registry=self.registry)
        self._waiting = Gauge(f"{name}_runs_waiting", "Runs that wait for their turn", registry=self.registry)
        self._full = Gauge(f"{name}_cluster_full", "1 while a pod waits for room on a node", registry=self.registry)

        self.idle = Gauge(f"{name}_idle_pods", "Pods of warm pools that wait for a run", registry=self.registry)
        self.refill = Histogram(
            f"{name}_refill_duration_seconds",
            "From the making of a warm pool's Job to its ready pod",
            buckets=_RUNS,
            registry=self.registry,
        )

    def _of_runs(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(name, what, labels, buckets=_RUNS, registry=self.registry)

    @asynccontextmanager
    async def reconcile(self, key: Key) -> AsyncIterator[None]:
        """Measure one reconcile."""
        with self.duration.labels(key.kind).time(), self.errors.labels(key.kind).count_exceptions():
            yield

    def bind(self, queue: WorkQueue, fair_queue: FairQueue) -> None:
        """Read these figures whenever somebody asks for them."""
        self._depth.set_function(lambda: len(queue.schedule.ready))
        self._active.set_function(lambda: fair_queue.counts()[0])
        self._waiting.set_function(lambda: fair_queue.counts()[1])
        self._full.set_function(lambda: float(fair_queue.cluster_full))

    def started(self, run: AgentRun, now: datetime) -> None:
        """The Job of a run was made."""
        self.admitted.inc()
        self.queued.observe(max(0.0, (now - run.metadata.created).total_seconds()))

    def ended(self, run: AgentRun, job: dict[str, Any] | None) -> None:
        """A run has its terminal status; ``job`` is its Job, where it is still there."""
        status = run.status
        error = status.error.type if status.error else ""
        self.runs.labels(str(status.phase), error if error in ("", *terminal_status.ERRORS) else "other").inc()
        if status.completed_at:
            took = parsed(status.completed_at) - run.metadata.created
            self.total.labels(str(status.phase)).observe(max(0.0, took.total_seconds()))
        if status.started_at and job and status.start != "warm":
            start = parsed(status.started_at) - parsed(job["metadata"]["creationTimestamp"])
            self.start.observe(max(0.0, start.total_seconds()))


@asynccontextmanager
async def served(metrics: OperatorMetrics, port: int, alive: Callable[[], bool]) -> AsyncIterator[None]:
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
