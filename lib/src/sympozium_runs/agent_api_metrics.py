"""What the runs surface counts. Few labels, none that a pod or a caller could choose."""

from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge

from sympozium_api import names, terminal_status
from sympozium_api.agent_protocol import End
from sympozium_api.run import AgentRun


class AgentApiMetrics:
    """The instruments of one port 8081, in a registry of its own. ``keys`` are the labels that callers may have; others count as none."""

    def __init__(self, keys: Callable[[], Collection[str]] = tuple) -> None:
        self._keys = keys
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sympozium_pod_requests_total", "Requests of agent pods.", ["route", "status"], registry=self.registry
        )
        self.in_flight = Gauge(
            "sympozium_pod_requests_in_flight", "Requests of agent pods that are open.", registry=self.registry
        )
        self.ends = Counter(
            "sympozium_runs_stored_total", "Runs whose end this process stored.", ["phase"], registry=self.registry
        )
        self.tokens = Counter(
            "sympozium_tokens_total", "Tokens that models counted.", ["key", "type"], registry=self.registry
        )

        self.idle = Gauge(
            "sympozium_idle_pods", "Idle pods that wait at this replica for a run.", registry=self.registry
        )
        self.claimed = Counter(
            "sympozium_idle_pods_claimed_total", "Idle pods that were taken for a run.", registry=self.registry
        )
        self.missed = Counter(
            "sympozium_warm_pool_misses_total",
            "Runs of an instance with a warm pool for which no idle pod waited here.",
            registry=self.registry,
        )

    def ended(self, run: AgentRun, end: End) -> None:
        """The end of a run is stored."""
        if run.ended:
            return  # its pod said so for the second time
        status = terminal_status.outcome(end)
        self.ends.labels(status["phase"]).inc()
        key = names.key_label(run.metadata.annotations.get(names.ANNOTATION_KEY_ID, ""))
        if usage := status.get("tokenUsage"):
            for kind in ("input", "output"):
                self.tokens.labels(key if key in self._keys() else "", kind).inc(usage[f"{kind}Tokens"])
