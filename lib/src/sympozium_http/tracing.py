"""Spans of one process, below those of its callers. Knows no OpenTelemetry: ``spans`` does, and exports.

Without an exporter nothing is recorded, and a caller's context is carried on as it came. Without either there is no context.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from sympozium_api import environment
from sympozium_api.trace_context import TraceContext

Kind = Literal["server", "client", "internal"]
Attributes = Mapping[str, str | int | Sequence[str]]
"""Named by the semantic conventions for HTTP, GenAI and Kubernetes; names that these lack begin with ``sympozium.``.

No content, no header and no key may enter a span.
"""


class Span:
    """A span that is not recorded: it only carries a context on."""

    is_recorded = False

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context
        """Context below which other processes put their spans."""

    def child(self, name: str, *, kind: Kind = "internal", attributes: Attributes | None = None) -> "Span":  # noqa: ARG002 - recorded by the exporting subclass
        """Begin a span below this one."""
        return Span(self.context)

    def rename(self, name: str) -> None:
        """Change the span's name."""

    def describe(self, attributes: Attributes) -> None:
        """Add attributes."""

    def add_event(self, name: str) -> None:
        """Note the time of an event."""

    def fail(self, error_type: str) -> None:
        """Mark the span as an error."""

    def end(self) -> None:
        """End the span."""


class Tracing:
    """The source of a process's spans. This class records none."""

    def span(
        self,
        name: str,  # noqa: ARG002 - recorded by the exporting subclass
        *,
        parent: TraceContext | None,
        kind: Kind = "server",  # noqa: ARG002 - recorded by the exporting subclass
        attributes: Attributes | None = None,  # noqa: ARG002 - recorded by the exporting subclass
        began_ns: int | None = None,  # noqa: ARG002 - recorded by the exporting subclass
    ) -> Span:
        """Begin a span below another process's, or a trace where ``parent`` is None. ``began_ns``: Unix time of a beginning in the past."""
        return Span(parent)

    def close(self) -> None:
        """Export what is not exported yet, within a few seconds."""


def end_request(span: Span, method: str, route: str, status: int) -> None:
    """End the span of an HTTP request that was answered; ``route`` is the pattern that the path matched."""
    span.rename(f"{method} {route}")
    span.describe({"http.route": route, "http.response.status_code": status})
    if status >= 500:
        span.fail(str(status))
    span.end()


def from_environment(environ: Mapping[str, str], *, service: str, resource: Mapping[str, str]) -> Tracing:
    """Return spans that are exported where OpenTelemetry's own variables name an endpoint; ``resource`` describes this process."""
    if not any(environ.get(name) for name in environment.OTLP_ENDPOINTS):
        return Tracing()
    from sympozium_http.spans import ExportedTracing  # noqa: PLC0415 - importing it takes a quarter of a second

    return ExportedTracing.over_http(environ.get(environment.OTEL_SERVICE_NAME) or service, resource)
