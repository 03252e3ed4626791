"""Metrics and the span of one run, taken from the records that its caller gets; never content."""

import time

from sympozium_api.agent_records import Record
from sympozium_runs.run_tracing import RunSpan
from sympozium_webproxy.metrics import WebProxyMetrics


class RunMetricsObserver:
    """Observer of one run's records. ``began`` is the start of its request on the monotonic clock."""

    def __init__(self, metrics: WebProxyMetrics, span: RunSpan, *, began: float, streamed: bool) -> None:
        self._metrics = metrics
        self.span = span
        self._began = began
        self._streamed = streamed
        self._seen: set[str] = set()

    def on_record(self, record: Record) -> None:
        """Measure a record."""
        self.span.on_record(record)
        kind = record["type"]
        if kind in self._seen:
            return
        self._seen.add(kind)
        if kind == "started":
            self._metrics.run_start.observe(time.monotonic() - self._began)
        elif kind == "delta" and self._streamed:
            self._metrics.first_token.observe(time.monotonic() - self._began)

    def close(self) -> None:
        """End the span: no further record comes."""
        self.span.end()
