"""Metrics of the agent API. Few labels, none that a pod or a caller could choose."""

from collections.abc import Callable, Collection, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from sympozium_api import names, terminal_status
from sympozium_api.agent_records import End
from sympozium_api.run import AgentRun
from sympozium_api.run_steps import Step
from sympozium_api.tool_output import NOT_MADE
from sympozium_runs.unreadable_objects import UnreadableObjects


class AgentApiMetrics:
    """The instruments of one agent API, in a registry of its own.

    ``keys`` returns the labels that callers may have; callers with other keys are counted under an empty label. ``on_tokens``
    is called with the id of a run's key and the number of its tokens, once its end is stored or its answer cut off.
    """

    def __init__(
        self,
        keys: Callable[[], Collection[str]] = tuple,
        on_tokens: Callable[[str, int], object] = lambda _key_id, _tokens: None,
    ) -> None:
        self._keys = keys
        self._on_tokens = on_tokens
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sympozium_pod_requests_total", "Requests of agent pods.", ["route", "status"], registry=self.registry
        )
        self.in_flight = Gauge(
            "sympozium_pod_requests_in_flight", "Requests of agent pods being served.", registry=self.registry
        )
        self.ends = Counter(
            "sympozium_runs_stored_total",
            "Runs whose terminal status this process stored.",
            ["phase"],
            registry=self.registry,
        )
        self.tokens = Counter(
            "sympozium_tokens_total", "Tokens as counted by the models.", ["key", "type"], registry=self.registry
        )
        self.tool_calls_not_made = Counter(
            "sympozium_tool_calls_not_made_total",
            "Calls of tools that a model asked for and that reached no tool.",
            registry=self.registry,
        )
        self.denied = Counter(
            "sympozium_policy_denied",
            "Requests and runs that policies refuse, by what they refuse.",
            ["kind"],
            registry=self.registry,
        )
        self.idle = Gauge("sympozium_idle_pods", "Idle pods waiting at this replica for a run.", registry=self.registry)
        self.claimed = Counter(
            "sympozium_idle_pods_claimed_total", "Idle pods claimed for a run.", registry=self.registry
        )
        self.missed = Counter(
            "sympozium_warm_pool_misses_total",
            "Runs of an instance with a warm pool that found no idle pod at this replica.",
            registry=self.registry,
        )
        self.refused_writes = Counter(
            "sympozium_run_writes_refused_total",
            "Writes of runs that the API server refused for good.",
            ["write"],
            registry=self.registry,
        )
        self.loop_failures = Counter(
            "sympozium_background_loop_failures_total",
            "Failures of the loops that run beside the servers, which are started again.",
            ["loop"],
            registry=self.registry,
        )
        self.unreadable = UnreadableObjects(self.registry)

    def count_end(self, run: AgentRun, end: End, *, streamed: int = 0, steps: Sequence[Step] | None = None) -> None:
        """Count a run whose terminal status was just stored, and its tokens: those in its end record, else the ``streamed`` ones.

        ``steps`` are those of the record that its pod sent.
        """
        if run.ended:
            return  # a repeated end record
        status = terminal_status.outline(end)
        self.ends.labels(status["phase"]).inc()
        self.tool_calls_not_made.inc(sum(step.get("error", "").startswith(NOT_MADE) for step in steps or ()))
        key_id = run.metadata.annotations.get(names.ANNOTATION_KEY_ID, "")
        key = names.key_label(key_id)
        usage = status.get("tokenUsage", {})
        counts = {kind: usage[f"{kind}Tokens"] for kind in ("input", "output") if f"{kind}Tokens" in usage}
        if counts:
            self._on_tokens(key_id, sum(counts.values()))
            for kind, count in counts.items():
                self.tokens.labels(key if key in self._keys() else "", kind).inc(count)
        else:
            self.count_cut(run, streamed)

    def count_cut(self, run: AgentRun, tokens: int) -> None:
        """Count the tokens of a run whose answer is cut off against its key's budget."""
        self._on_tokens(run.metadata.annotations.get(names.ANNOTATION_KEY_ID, ""), tokens)
