"""An OpenTelemetry collector: it takes OTLP over HTTP and keeps the spans."""

from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass
class Collector:
    """What was exported. ``status`` is what it answers with."""

    spans: dict[str, Span] = field(default_factory=dict)
    """By name, the latest of each."""
    resource: dict[str, Any] = field(default_factory=dict)
    received: bytes = b""
    status: int = 200

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/traces", self.take, methods=["POST"])])

    async def take(self, request: Request) -> Response:
        body = await request.body()
        self.received += body
        if self.status == 200:
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource = attributes(group.resource.attributes)
                self.spans |= {span.name: span for scope in group.scope_spans for span in scope.spans}
        answer = ExportTraceServiceResponse().SerializeToString()
        return Response(answer, self.status, media_type="application/x-protobuf")


def attributes(pairs: Any) -> dict[str, Any]:
    """Attributes of a span or a resource as plain values."""
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found
