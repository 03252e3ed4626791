"""Metrics of the egress guard. Labels are bounded by the objects of the cluster; no model can choose one."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from sympozium_egress.policy.call_policy import Outcome

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)
_OWN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 1)


class EgressMetrics:
    """The instruments of one guard, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "sympozium_pod_requests_total", "Requests of agent pods.", ["route", "status"], registry=self.registry
        )
        self.in_flight = Gauge(
            "sympozium_pod_requests_in_flight", "Requests of agent pods being served.", registry=self.registry
        )
        self._calls = Counter(
            "sympozium_tool_calls_total",
            "Calls of tools that agents have, by outcome.",
            ["tool_namespace", "tool", "outcome"],
            registry=self.registry,
        )
        self.denied = Counter(
            "sympozium_policy_denied",
            "Calls that policies refuse, by what they refuse.",
            ["kind"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "sympozium_tool_call_duration_seconds",
            "Seconds of a call, from its request to its result.",
            ["outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._own = Histogram(
            "sympozium_tool_guard_seconds",
            "Seconds of a call that the guard itself took: checks, reads of the cluster, names.",
            buckets=_OWN_SECONDS,
            registry=self.registry,
        )

        self._tunnels = Counter(
            "sympozium_egress_tunnels_total",
            "Tunnels that agents asked for to their model servers, by outcome.",
            ["outcome"],
            registry=self.registry,
        )

    def count_tunnel(self, outcome: Literal["open", "refused", "failed"]) -> None:
        """Count a request for a tunnel."""
        self._tunnels.labels(outcome).inc()

    def count(self, namespace: str, tool: str, outcome: Outcome, *, seconds: float, outside: float) -> None:
        """Count a call that took ``seconds``, of which ``outside`` were the tool's own."""
        self._calls.labels(namespace, tool, outcome).inc()
        self._duration.labels(outcome).observe(seconds)
        self._own.observe(max(0.0, seconds - outside))
