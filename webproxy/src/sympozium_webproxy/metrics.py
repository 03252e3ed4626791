"""Metrics of the web-proxy. Few labels, none with a value that a caller could choose."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sympozium_http.byte_budget import ByteBudget
from sympozium_http.request_metrics import SECONDS, RequestMetrics
from sympozium_webproxy.budgets.key_collector import KeyCollector


class WebProxyMetrics(RequestMetrics):
    """Instruments of one application, in their own registry."""

    def __init__(self) -> None:
        super().__init__()
        self.first_token = Histogram(
            "sympozium_time_to_first_token_seconds",
            "Seconds from a request's first byte to the first piece of a streamed answer.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.refused = Counter(
            "sympozium_requests_refused_total",
            "Requests refused because of a limit.",
            ["reason"],
            registry=self.registry,
        )
        self.run_start = Histogram(
            "sympozium_run_start_duration_seconds",
            "Seconds from a request's first byte to the agent's first record: queue and cold start.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._open = Gauge(
            "sympozium_runs_open",
            "Open runs of the instance, whoever created them.",
            registry=self.registry,
        )
        self._waiting = Gauge(
            "sympozium_runs_waiting",
            "Runs that callers of this replica wait for and whose agent has sent no record yet.",
            registry=self.registry,
        )

        self.keys = KeyCollector()
        self.registry.register(self.keys)
        self._held = Gauge(
            "sympozium_held_bytes",
            "Bytes of requests and answers that this process holds, as counted for its limit.",
            registry=self.registry,
        )
        self._held_limit = Gauge(
            "sympozium_held_bytes_limit",
            "Held bytes above which new requests are refused with 503.",
            registry=self.registry,
        )

    def bind(
        self,
        *,
        open_runs: Callable[[], int],
        waiting: Callable[[], int],
        budget: ByteBudget,
        others: CollectorRegistry,
    ) -> None:
        """Read these figures at each scrape, and expose the metrics of another registry with them."""
        self._open.set_function(open_runs)
        self._waiting.set_function(waiting)
        self._held.set_function(lambda: budget.used)
        self._held_limit.set(budget.limit)
        self.registry.register(others)
