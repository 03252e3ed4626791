"""An OpenTelemetry collector: it takes OTLP over HTTP and keeps the spans.

It also runs alone, in a pod, from this one file; then ``GET /spans`` tells names, ids and parents of all spans.
"""

import argparse
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Collector:
    """Exported spans. ``status`` is the status of its answers."""

    spans: dict[str, Span] = field(default_factory=dict)
    """By name, the latest of each."""
    resource: dict[str, Any] = field(default_factory=dict)
    all: list[dict[str, Any]] = field(default_factory=list)
    received: bytes = b""
    status: int = 200

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/traces", self.take, methods=["POST"]),
                Route("/spans", self.tell),
                Route("/healthz", lambda _: Response()),
            ]
        )

    async def tell(self, _: Request) -> JSONResponse:
        return JSONResponse(self.all)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        self.received += body
        if self.status == 200:
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource = attributes(group.resource.attributes)
                self.all += [
                    {
                        "name": span.name,
                        "service": self.resource["service.name"],
                        "trace": span.trace_id.hex(),
                        "span": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "run": attributes(span.attributes).get("sympozium.run"),
                    }
                    for scope in group.scope_spans
                    for span in scope.spans
                ]
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


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--host")
    arguments.add_argument("--port", type=int)
    uvicorn.run(Collector().app, **vars(arguments.parse_args()))
