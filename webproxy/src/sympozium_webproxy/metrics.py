"""What the web-proxy counts. Few labels, none that a caller could choose."""

from prometheus_client import Counter, Histogram

from sympozium_runs.http.metrics import SECONDS, RequestMetrics


class Metrics(RequestMetrics):
    """The instruments of one application, in a registry of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first_token = Histogram(
            "sympozium_time_to_first_token_seconds",
            "From a request's first byte to the first piece of the model's answer.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.refused = Counter(
            "sympozium_requests_refused_total", "Requests over a limit.", ["reason"], registry=self.registry
        )
