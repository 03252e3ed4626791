"""Spans by the OpenTelemetry SDK. The only module that imports it, and imported only where there is an endpoint to export to."""

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
from opentelemetry.trace import Span as SdkSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sympozium_api.trace_context import TraceContext
from sympozium_http.tracing import Attributes, Kind, Span, Tracing

log = structlog.get_logger()

_SDK_LOG = logging.getLogger("opentelemetry")
_W3C = TraceContextTextMapPropagator()
_FLUSH_SECONDS = 5.0
_SILENCE_SECONDS = 60.0
_KINDS: dict[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}


class _ExportedSpan(Span):
    """A span of the SDK."""

    is_recorded = True

    def __init__(self, tracer: Tracer, span: SdkSpan) -> None:
        self._tracer = tracer
        self._span = span
        self._own_context = set_span_in_context(span)
        super().__init__(_carried(self._own_context))

    def child(self, name: str, *, kind: Kind = "internal", attributes: Attributes | None = None) -> Span:
        span = self._tracer.start_span(name, self._own_context, _KINDS[kind], attributes)
        return _ExportedSpan(self._tracer, span)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def describe(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def add_event(self, name: str) -> None:
        self._span.add_event(name)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        self._span.end()


class ExportedTracing(Tracing):
    """Spans that a thread of their own exports in batches: no request waits for it, whatever the collector does."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("sympozium")

    @classmethod
    def over_http(cls, service: str, resource: Mapping[str, str]) -> Self:
        """Return spans for the OTLP/HTTP endpoint of the environment, sampled as it says.

        The variables are OpenTelemetry's: ``OTEL_EXPORTER_OTLP_*`` and ``OTEL_TRACES_SAMPLER*``.
        """
        _SDK_LOG.propagate = False
        _SDK_LOG.handlers = [_ExportWarnings()]
        return cls.to(BatchSpanProcessor(OTLPSpanExporter()), service, resource)

    @classmethod
    def to(cls, processor: SpanProcessor, service: str, resource: Mapping[str, str]) -> Self:
        """Return spans for any processor."""
        described = Resource.create({"service.name": service, **resource})
        provider = TracerProvider(resource=described, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        return cls(provider)

    def span(
        self,
        name: str,
        *,
        parent: TraceContext | None,
        kind: Kind = "server",
        attributes: Attributes | None = None,
        began_ns: int | None = None,
    ) -> Span:
        """Begin a span below the parent, or the first span of a trace."""
        context = _W3C.extract(parent.headers, Context()) if parent else Context()
        span = self._tracer.start_span(name, context, _KINDS[kind], attributes, start_time=began_ns)
        return _ExportedSpan(self._tracer, span)

    def close(self) -> None:
        """Export what is left, for at most five seconds."""
        flush = threading.Thread(target=self._provider.shutdown, daemon=True)  # alone it would wait for half a minute
        flush.start()
        flush.join(_FLUSH_SECONDS)


class _ExportWarnings(logging.Handler):
    """The SDK's warnings about an unreachable collector, in the shape of our log and at most once a minute."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._logged_at = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._logged_at >= _SILENCE_SECONDS:
            self._logged_at = now
            log.warning("spans not exported", reason=record.getMessage()[:300])


def _carried(context: Context) -> TraceContext | None:
    headers: dict[str, str] = {}
    _W3C.inject(headers, context)
    return TraceContext.of(headers.get("traceparent"), headers.get("tracestate"))
