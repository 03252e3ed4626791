"""Metrics for Prometheus, and the liveness of the process. Names and labels do not change, because dashboards use them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from sympozium_api import terminal_status
from sympozium_api.resources import created_at
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import parse_timestamp
from sympozium_http.listening import listening_sockets
from sympozium_operator.result import Key
from sympozium_operator.scheduling.fair_queue import FairQueue
from sympozium_operator.scheduling.work_queue import WorkQueue

STALLED_AFTER = 120.0
"""Seconds without a reconcile that begins or ends, although there is work, after which the queue is stalled."""

_RUNS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Buckets of run durations: Kubernetes' timestamps are whole seconds, so nothing below one second can be measured."""
_DURATIONS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 30)


class OperatorMetrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        name = "sympozium_operator"
        self.duration = Histogram(
            f"{name}_reconcile_duration_seconds",
            "Seconds per reconcile.",
            ["kind"],
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self.errors = Counter(
            f"{name}_reconcile_errors", "Reconciles that failed and are retried.", ["kind"], registry=self.registry
        )
        self.unreadable = Counter(
            f"{name}_unreadable_objects",
            "Attempts to read or act on an object that failed because of the object.",
            ["kind"],
            registry=self.registry,
        )
        self.watch_failures = Counter(
            f"{name}_watch_failures",
            "Watches that failed, or ended at once, for 30 s although the API server answers, and are opened again.",
            ["kind"],
            registry=self.registry,
        )
        self.repairs_delayed = Counter(
            f"{name}_repairs_delayed",
            "Repairs that wait because the object was changed or deleted soon after the one before.",
            ["kind"],
            registry=self.registry,
        )
        self.runs = Counter(f"{name}_runs_ended", "Runs that ended.", ["phase", "error"], registry=self.registry)
        self.admitted = Counter(f"{name}_runs_admitted", "Runs whose Job was created.", registry=self.registry)
        self.queued = self._of_runs(f"{name}_run_queue_duration_seconds", "Seconds from a run's creation to its Job's.")
        self.start = self._of_runs(
            f"{name}_run_start_duration_seconds", "Seconds from Job creation to the agent's first record."
        )
        self.total = self._of_runs(f"{name}_run_duration_seconds", "Seconds from a run's creation to its end.", "phase")
        self.leader = Gauge(
            f"{name}_leader", "1 while this replica leads, on one shard at least.", registry=self.registry
        )
        self.shards = Gauge(f"{name}_shards", "Shards of the installation.", registry=self.registry)
        self.shards_held = Gauge(f"{name}_shards_held", "Shards that this replica works on.", registry=self.registry)
        self._depth = Gauge(f"{name}_queue_depth", "Objects waiting to be reconciled.", registry=self.registry)
        self._active = Gauge(f"{name}_runs_active", "Runs that have a Job or may create it.", registry=self.registry)
        self._waiting = Gauge(f"{name}_runs_waiting", "Runs waiting in the fair queue.", registry=self.registry)
        self._full = Gauge(
            f"{name}_cluster_full",
            "1 while a pod waits for a node, or a run for its namespace's quota.",
            registry=self.registry,
        )

        self.pruned_early = Counter(
            f"{name}_runs_pruned_early",
            "Ended runs deleted before their retention, because their instance has too many.",
            registry=self.registry,
        )
        self.pruned_for_bytes = Counter(
            f"{name}_runs_pruned_for_bytes",
            "Ended runs deleted before their retention, because their namespace stores too many bytes of requests and answers.",
            registry=self.registry,
        )
        self.deleted_unarchived = Counter(
            "sympozium_runs_deleted_unarchived",
            "Ended runs that the operator deleted to bound the cluster's storage although the archive had not pruned them.",
            registry=self.registry,
        )
        self.denied = Counter(
            "sympozium_policy_denied",
            "Instances, runs and tools that policies refuse, by what they refuse.",
            ["kind"],
            registry=self.registry,
        )
        self.idle = Gauge(f"{name}_idle_pods", "Idle pods of all warm pools.", registry=self.registry)
        self.refill = Histogram(
            f"{name}_refill_duration_seconds",
            "Seconds from the creation of an idle pod's Job until the pod is ready.",
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

    def count_unreadable(self, kind: str) -> None:
        """Count an attempt to read or act on an object that failed because of the object."""
        self.unreadable.labels(kind).inc()

    def count_watch_failure(self, kind: str) -> None:
        """Count a watch that keeps failing, by the kind of its objects."""
        self.watch_failures.labels(kind).inc()

    def count_delayed_repair(self, kind: str) -> None:
        """Count a repair that waits, by the kind of the object."""
        self.repairs_delayed.labels(kind).inc()

    def bind(self, queue: WorkQueue, fair_queue: FairQueue) -> None:
        """Read the queues' sizes whenever the metrics are scraped."""
        self._depth.set_function(queue.schedule.depth)
        self._active.set_function(lambda: fair_queue.counts()[0])
        self._waiting.set_function(lambda: fair_queue.counts()[1])
        self._full.set_function(lambda: float(fair_queue.cluster_full))

    def started(self, run: AgentRun, now: datetime) -> None:
        """Count a run whose Job was made."""
        self.admitted.inc()
        self.queued.observe(max(0.0, (now - run.metadata.created).total_seconds()))

    def ended(self, run: AgentRun, job: dict[str, Any] | None) -> None:
        """Count a run that has its terminal status; ``job`` is its Job, if it still exists."""
        status = run.status
        error = status.error.type if status.error else ""
        self.runs.labels(str(status.phase), error if error in ("", *terminal_status.ERRORS) else "other").inc()
        if status.completed_at:
            took = parse_timestamp(status.completed_at) - run.metadata.created
            self.total.labels(str(status.phase)).observe(max(0.0, took.total_seconds()))
        if status.started_at and job and status.start != "warm":
            start = parse_timestamp(status.started_at) - created_at(job)
            self.start.observe(max(0.0, start.total_seconds()))


@asynccontextmanager
async def served(metrics: OperatorMetrics, port: int, alive: Callable[[], bool]) -> AsyncIterator[None]:
    """Serve /metrics and /healthz; any answer at all shows that the event loop is not blocked."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), content_type="text/plain")

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if alive() else web.Response(status=503, text="the work is stalled\n")

    app = web.Application()
    app.add_routes([web.get("/metrics", show), web.get("/healthz", health)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    for listening in listening_sockets(port):
        await web.SockSite(runner, listening).start()
    try:
        yield
    finally:
        async with asyncio.timeout(2):
            await runner.cleanup()
