"""Spans by the OpenTelemetry SDK. The only module that imports it, and imported only where there is an endpoint to export to.

Attributes follow the semantic conventions for HTTP, GenAI and Kubernetes; what they have no name for begins with ``sympozium.``.
No content, no header and no key may enter a span.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Self

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sympozium_api import logs, terminal_status
from sympozium_api.agent_protocol import End, Record
from sympozium_api.trace_context import TraceContext
from sympozium_http.tracing import PodRequest, RequestSpan, RunFacts, RunSpan, Tracing

log = structlog.get_logger()

_SDK_LOG = logging.getLogger("opentelemetry")
_W3C = TraceContextTextMapPropagator()
_FLUSH_SECONDS = 5.0
_SILENCE_SECONDS = 60.0


class _Run(RunSpan):
    """From the run's making to its end; its start, until the agent's first record, is a span of its own below it."""

    def __init__(self, tracer: Tracer, parent: Context, facts: RunFacts) -> None:
        self._span = tracer.start_span(
            f"invoke_agent {facts.instance}",
            context=parent,
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": facts.instance,
                "gen_ai.provider.name": facts.provider,
                "gen_ai.request.model": facts.model,
                "k8s.namespace.name": facts.namespace,
                "sympozium.key_id": facts.key_id,
            },
        )
        here = set_span_in_context(self._span)
        self._start: Span | None = tracer.start_span("start", context=here)
        self._token_came = False
        super().__init__(_carried(here))

    def named(self, run: str) -> None:
        self._span.set_attribute("sympozium.run", run)

    def see(self, record: Record) -> None:
        if record["type"] == "delta" and not self._token_came:
            self._token_came = True
            self._span.add_event("first_token")
        if record["type"] == "done" or record["type"] == "error":
            self._ended(record)
        elif self._start:
            self._start.end()
            self._start = None

    def _ended(self, end: End) -> None:
        status = terminal_status.outcome(end)
        self._span.set_attribute("sympozium.run.phase", status["phase"])
        if "error" in status:
            self._span.set_attribute("error.type", status["error"]["type"])
            self._span.set_status(Status(StatusCode.ERROR))
        elif status.get("finishReason"):
            self._span.set_attribute("gen_ai.response.finish_reasons", [status["finishReason"]])
        if usage := status.get("tokenUsage"):
            self._span.set_attribute("gen_ai.usage.input_tokens", usage["inputTokens"])
            self._span.set_attribute("gen_ai.usage.output_tokens", usage["outputTokens"])

    def end(self) -> None:
        if self._start:
            self._start.end()
        self._span.end()


class _Request(RequestSpan):
    """From a request's first byte to its answer's last."""

    def __init__(self, tracer: Tracer, caller: TraceContext | None, method: str) -> None:
        attributes = {"http.request.method": method}
        self._tracer = tracer
        self._method = method
        self._span = tracer.start_span(method, context=_parent(caller), kind=SpanKind.SERVER, attributes=attributes)
        super().__init__(_carried(set_span_in_context(self._span)))

    def run(self, facts: RunFacts) -> RunSpan:
        return _Run(self._tracer, set_span_in_context(self._span), facts)

    def end(self, route: str, status: int) -> None:
        self._span.update_name(f"{self._method} {route}")
        _answered(self._span, route, status)
        self._span.end()


class Exported(Tracing):
    """Spans that are exported in batches by a thread of their own: no request waits for it, whatever the collector does."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("sympozium")

    @classmethod
    def over_http(cls, service: str, resource: Mapping[str, str]) -> Self:
        """To the OTLP/HTTP endpoint of the environment, sampled as it says (``OTEL_EXPORTER_OTLP_*``, ``OTEL_TRACES_SAMPLER*``)."""
        _SDK_LOG.propagate = False
        _SDK_LOG.handlers = [_Complaints()]
        return cls.to(BatchSpanProcessor(OTLPSpanExporter()), service, resource)

    @classmethod
    def to(cls, processor: SpanProcessor, service: str, resource: Mapping[str, str]) -> Self:
        """To any processor."""
        described = Resource.create({"service.name": service, **resource})
        provider = TracerProvider(resource=described, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        return cls(provider)

    def request(self, caller: TraceContext | None, method: str) -> RequestSpan:
        """A span below the caller's, or the first of a trace."""
        return _Request(self._tracer, caller, method)

    def pod_request(self, request: PodRequest) -> None:
        """A span below the run's; made when it is over, because before nobody knows the run."""
        about = logs.run_fields(request.run)
        span = self._tracer.start_span(
            f"{request.method} {request.route}",
            context=_parent(TraceContext.of_annotations(request.run.metadata.annotations)),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": request.method,
                "k8s.namespace.name": about["namespace"],
                "gen_ai.agent.name": about["instance"],
                "sympozium.run": about["run"],
            },
            start_time=request.began_ns,
        )
        _answered(span, request.route, request.status)
        span.end()

    def close(self) -> None:
        """Export what is left, for at most five seconds."""
        flush = threading.Thread(target=self._provider.shutdown, daemon=True)  # it would wait half a minute
        flush.start()
        flush.join(_FLUSH_SECONDS)


class _Complaints(logging.Handler):
    """What the SDK says about a collector that is away, in our log's shape and not more often than once a minute."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said_at = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._said_at >= _SILENCE_SECONDS:
            self._said_at = now
            log.warning("spans not exported", reason=record.getMessage()[:300])


def _parent(context: TraceContext | None) -> Context:
    return _W3C.extract(context.headers, Context()) if context else Context()


def _carried(context: Context) -> TraceContext | None:
    headers: dict[str, str] = {}
    _W3C.inject(headers, context)
    return TraceContext.of(headers.get("traceparent"), headers.get("tracestate"))


def _answered(span: Span, route: str, status: int) -> None:
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))
