"""Surfaces of the console: one application per dialect, each with a port and an error shape of its own. One that is off has no port."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp

from sympozium_api import names
from sympozium_console.console_app import create_app, create_probes
from sympozium_console.console_context import ConsoleContext
from sympozium_console.console_limits import ConsoleLimits
from sympozium_console.console_platform import platform_context
from sympozium_console.console_settings import ConsoleSettings
from sympozium_http.metrics_endpoint import MetricsEndpoint
from sympozium_http.request_limits import BodySeconds, HeaderLimits, RequestLimits
from sympozium_http.serving import Listener
from sympozium_platform.app import create_app as create_platform


@dataclass(frozen=True)
class Surface:
    """One dialect."""

    port: int
    create: Callable[[ConsoleContext], ASGIApp]
    """Returns the application, with its own OpenAPI and its own limits of callers."""
    http: type[HeaderLimits]
    """Limits on how requests arrive, with the dialect's shape of error."""
    is_on: Callable[[ConsoleSettings], bool]
    body_seconds: Callable[[ConsoleSettings], BodySeconds]

    def listener(self, context: ConsoleContext) -> Listener:
        """Return the listener of the surface."""
        settings = context.settings
        return Listener(self.create(context), self.port, self.http, self.body_seconds(settings), settings.bind)


def _management(context: ConsoleContext) -> ASGIApp:
    app = create_app(context)
    return MetricsEndpoint(context.metrics.registry, app) if context.settings.metrics_on_http else app


MANAGEMENT = Surface(
    port=names.HTTP_PORT,
    create=_management,
    http=ConsoleLimits,
    is_on=lambda settings: settings.management,
    body_seconds=lambda settings: BodySeconds(settings.body_seconds),
)
PLATFORM = Surface(
    port=names.PLATFORM_PORT,
    create=lambda context: create_platform(platform_context(context)),
    http=RequestLimits,  # whose refusals have the dialect's shape
    is_on=lambda settings: settings.platform is not None,
    body_seconds=lambda settings: BodySeconds(settings.body_seconds),
)
SURFACES = (MANAGEMENT, PLATFORM)


def listeners(context: ConsoleContext) -> list[Listener]:
    """Return the listeners of the surfaces that are on, then of the agent API, then of metrics and probes, in the order of their end."""
    bind = context.settings.bind
    found = [surface.listener(context) for surface in SURFACES if surface.is_on(context.settings)]
    if (agent_api := context.instance_runs.agent_api()) is not None:
        found.append(Listener(agent_api, names.RUNS_PORT, HeaderLimits, address=bind))
    metrics = MetricsEndpoint(context.metrics.registry, create_probes(context))
    return [*found, Listener(metrics, names.METRICS_PORT, address=bind)]
