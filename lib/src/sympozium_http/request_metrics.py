"""Metrics of every HTTP server. Few labels, none that a caller could choose."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class RequestMetrics:
    """The instruments of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "sympozium_http_requests_total", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.in_flight = Gauge("sympozium_http_requests_in_flight", "Requests being answered.", registry=self.registry)
        self.duration = Histogram(
            "sympozium_http_request_duration_seconds",
            "Seconds from a request's first byte to its answer's last.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.by_key = Counter(
            "sympozium_key_requests_total", "Requests with a valid key.", ["key", "status"], registry=self.registry
        )
