"""Metrics of the console. Few labels, none with a value that a caller could choose."""

from collections.abc import Callable, Collection

from prometheus_client import Counter, Gauge, Histogram

from sympozium_archive.database import Database
from sympozium_domain.audit.audit_trail import AuditMetrics
from sympozium_http.request_metrics import RequestMetrics
from sympozium_runs.agent_api_metrics import AgentApiMetrics

SLOW_SECONDS = 2.0
"""Seconds after which a statement counts as slow."""
_LIMITS = (
    "requests",
    "runs",
    "failed_sign_ins",
    "failed_forms",
    "issuer_sign_ins",
    "platform_requests",
    "platform_runs",
)
"""Limits of callers, whose refusals are counted."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ConsoleMetrics(RequestMetrics):
    """The instruments of one console, in a registry of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.key_ids: Callable[[], Collection[str]] = tuple
        """Function that returns the labels that callers may have."""
        registry = self.registry
        self.lag = Gauge(
            "sympozium_archive_lag",
            "Seconds since the oldest change of a run that the database does not have yet.",
            registry=registry,
        )
        self.rows = Counter(
            "sympozium_archive_rows_total", "Rows written to the database.", ["table"], registry=registry
        )
        self.batch_duration = Histogram(
            "sympozium_archive_batch_duration_seconds",
            "Seconds that the database took for one batch of rows.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue = Gauge(
            "sympozium_archive_queue", "Entries waiting to be written to the database.", ["queue"], registry=registry
        )
        for table in ("runs", "contents", "audit"):
            self.rows.labels(table)
            self.queue.labels(table)
        self.unreadable_runs = Counter(
            "sympozium_archive_unreadable_runs_total",
            "Times that a run could not be read, so that no list of the newest runs has it.",
            registry=registry,
        )
        self.pool_in_use = Gauge(
            "sympozium_archive_pool_in_use", "Connections to the database in use.", registry=registry
        )
        self.pool_size = Gauge(
            "sympozium_archive_pool_size", "Connections to the database that stay open.", registry=registry
        )
        self.pool_limit = Gauge(
            "sympozium_archive_pool_limit", "Connections to the database at most.", registry=registry
        )
        self.slow_statements = Counter(
            "sympozium_archive_slow_statements_total",
            "Statements that the database took more than two seconds for.",
            registry=registry,
        )
        self.database_errors = Counter(
            "sympozium_archive_errors_total",
            "Uses of the database that failed because it cannot be reached or cannot write.",
            registry=registry,
        )
        self.contents_lost = Counter(
            "sympozium_archive_contents_lost_total",
            "Runs whose content is not in the archive: they were deleted before it was read, or it cannot be read.",
            registry=registry,
        )
        self.cost = Counter(
            "sympozium_archive_cost_usd_total",
            "US dollars that archived runs cost, by the model of the price list.",
            ["model"],
            registry=registry,
        )
        self.audit_dropped = Counter(
            "sympozium_audit_dropped_total",
            "Entries of the audit that were dropped because their queue was full.",
            registry=registry,
        )
        self.rate_limited = Counter(
            "sympozium_rate_limited_total",
            "Requests over a limit of their callers.",
            ["limit"],
            registry=registry,
        )
        for limit in _LIMITS:
            self.rate_limited.labels(limit)
        self.rates_unshared = Counter(
            "sympozium_rates_unshared_total",
            "Requests that this replica counted alone, because Valkey or Redis did not answer.",
            registry=registry,
        )
        self.runs = AgentApiMetrics(lambda: self.key_ids())  # noqa: PLW0108 - which is set later
        """Instruments of the runs that this console starts and whose records come to it."""
        self.loop_failures = self.runs.loop_failures
        registry.register(self.runs.registry)
        self.change_streams = Gauge("sympozium_change_streams", "Open streams of changes.", registry=registry)

    @property
    def audit(self) -> AuditMetrics:
        """Instruments of the audit."""
        return AuditMetrics(
            self.rows.labels("audit"), self.queue.labels("audit"), self.database_errors, self.audit_dropped
        )

    def observe_statement(self, seconds: float) -> None:
        """Count a statement if it was slow."""
        if seconds > SLOW_SECONDS:
            self.slow_statements.inc()

    def bind(self, database: Database, key_ids: Callable[[], Collection[str]]) -> None:
        """Let the gauges of connections follow a database. ``key_ids`` returns the labels that callers may have."""
        self.key_ids = key_ids
        settings = database.settings
        self.pool_in_use.set_function(lambda: database.pool_in_use)
        self.pool_size.set(min(settings.pool_size, settings.max_connections))
        self.pool_limit.set(settings.max_connections)
