"""Spans of a run: the one that its caller waits for, and those of its pod's requests. No content enters them."""

from dataclasses import dataclass
from typing import Self

from sympozium_api import effective, logs, terminal_status
from sympozium_api.agent_records import End, Record, ToolRecord
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_api.trace_context import TraceContext
from sympozium_http.tracing import Span, Tracing, end_request

_MOST_TOOLS = 64
"""Calls of tools at the same time of which each gets a span."""


@dataclass(frozen=True)
class RunFacts:
    """Names that are known of a run before it is created."""

    namespace: str
    instance: str
    key_id: str
    model: str
    provider: str

    @classmethod
    def of(cls, instance: SympoziumInstance, key_id: str, *, model: str | None = None) -> Self:
        """Return the facts of an instance's run that a key asks for; ``model`` where the run does not use the instance's own."""
        own = effective.model(instance)
        return cls(instance.metadata.namespace, instance.metadata.name, key_id, model or own.name, own.provider)


class RunSpan:
    """The span of a run from its creation to its end, as the request that waits for it sees it.

    The run's start, until the agent's first record, is a span of its own below it.
    """

    def __init__(self, request: Span, facts: RunFacts) -> None:
        self._span = request.child(
            f"invoke_agent {facts.instance}",
            kind="client",
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": facts.instance,
                "gen_ai.provider.name": facts.provider,
                "gen_ai.request.model": facts.model,
                "k8s.namespace.name": facts.namespace,
                "sympozium.key_id": facts.key_id,
            },
        )
        self._start: Span | None = self._span.child("start")
        self._token_came = False
        self._tools: dict[str, Span] = {}
        self.context = self._span.context
        """Context for the run's annotations: its call of the model belongs below it."""

    def set_run(self, run: str) -> None:
        """Add the name of the run, once it is created."""
        self._span.describe({"sympozium.run": run})

    def on_record(self, record: Record) -> None:
        """Note what a record of the run says about its progress."""
        if not self._span.is_recorded:
            return
        if record["type"] == "delta" and not self._token_came:
            self._token_came = True
            self._span.add_event("first_token")
        if record["type"] == "tool":
            self._on_tool(record)
        if record["type"] == "done" or record["type"] == "error":
            self._describe_end(record)
        elif self._start:
            self._start.end()
            self._start = None

    def end(self) -> None:
        """End the span: the run has ended, or nobody waits for it any longer."""
        for span in (*self._tools.values(), *filter(None, [self._start])):
            span.end()
        self._span.end()

    def _on_tool(self, record: ToolRecord) -> None:
        if record["state"] == "ended":
            span = self._tools.pop(record["id"], None)
            if span and record.get("isError"):
                span.fail("tool_error")
            if span:
                span.end()
        elif len(self._tools) < _MOST_TOOLS:
            attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": record["function"]}
            self._tools[record["id"]] = self._span.child(f"execute_tool {record['function']}", attributes=attributes)

    def _describe_end(self, end: End) -> None:
        status = terminal_status.outline(end)
        self._span.describe({"sympozium.run.phase": status["phase"]})
        if "error" in status:
            self._span.fail(status["error"]["type"])
        elif reason := status.get("finishReason"):
            self._span.describe({"gen_ai.response.finish_reasons": [reason]})
        usage = status.get("tokenUsage", {})
        counts = {kind: usage.get(f"{kind}Tokens") for kind in ("input", "output")}
        self._span.describe(
            {f"gen_ai.usage.{kind}_tokens": count for kind, count in counts.items() if count is not None}
        )


def record_pod_request(tracing: Tracing, run: AgentRun, *, method: str, route: str, status: int, began_ns: int) -> None:
    """Record a pod's request below its run's span; afterwards, because before its answer the run is not known.

    ``began_ns`` is Unix time.
    """
    fields = logs.run_fields(run)
    span = tracing.span(
        f"{method} {route}",
        parent=TraceContext.of_annotations(run.metadata.annotations),
        attributes={
            "http.request.method": method,
            "k8s.namespace.name": fields["namespace"],
            "gen_ai.agent.name": fields["instance"],
            "sympozium.run": fields["run"],
        },
        began_ns=began_ns,
    )
    end_request(span, method, route, status)
