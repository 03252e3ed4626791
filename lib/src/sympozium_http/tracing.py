"""The trace of a request, its run and its pod: who a span's parent is. Knows no OpenTelemetry; ``spans`` does, and exports.

Without an exporter nothing is recorded, and a caller's context reaches the model as it came; without either, none does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sympozium_api import effective, environment
from sympozium_api.agent_protocol import Record
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_api.trace_context import TraceContext


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run before it is made: names only."""

    namespace: str
    instance: str
    key_id: str
    model: str
    provider: str

    @classmethod
    def of(cls, instance: SympoziumInstance, key_id: str, *, model: str | None = None) -> Self:
        """The facts of a run of an instance, asked for with a key; ``model`` where it is not the instance's own."""
        own = effective.model(instance)
        return cls(instance.metadata.namespace, instance.metadata.name, key_id, model or own.name, own.provider)


class RunSpan:
    """A run as the request sees it that waits for it. This one records nothing."""

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context
        """What the run's annotations carry: its call of the model belongs below it."""

    def named(self, run: str) -> None:
        """The AgentRun is there, under this name."""

    def see(self, record: Record) -> None:
        """A record of the run has come."""

    def end(self) -> None:
        """Nothing more will come: the run has ended, or nobody waits for it any more."""


class RequestSpan:
    """A caller's request. This one records nothing."""

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context

    def run(self, facts: RunFacts) -> RunSpan:  # noqa: ARG002 - what is recorded by the one that exports
        """The run that this request makes, or finds."""
        return RunSpan(self.context)

    def end(self, route: str, status: int) -> None:
        """The request is answered; ``route`` is the pattern that its path matched."""


@dataclass(frozen=True)
class PodRequest:
    """A pod's request on port 8081, once it is answered."""

    run: AgentRun
    method: str
    route: str
    status: int
    began_ns: int
    """Unix time."""


class Tracing:
    """Makes the spans of one process. This one makes those that record nothing."""

    def request(self, caller: TraceContext | None, method: str) -> RequestSpan:  # noqa: ARG002 - see RequestSpan
        """A request has come in; ``caller`` is the context in its headers."""
        return RequestSpan(caller)

    def pod_request(self, request: PodRequest) -> None:
        """A pod was served."""

    def close(self) -> None:
        """Hand out what is not exported yet, within a few seconds."""


def from_environment(environ: Mapping[str, str], *, service: str, resource: Mapping[str, str]) -> Tracing:
    """Spans that are exported where OpenTelemetry's own variables name an endpoint; ``resource`` describes this process."""
    if not any(environ.get(name) for name in environment.OTLP_ENDPOINTS):
        return Tracing()
    from sympozium_http.spans import Exported  # noqa: PLC0415 - a quarter of a second of every start, for nothing

    return Exported.over_http(environ.get(environment.OTEL_SERVICE_NAME) or service, resource)
