"""The parts that the routes work with, injected once when the application is created."""

import asyncio
from dataclasses import dataclass, field

from starlette.requests import Request

from sympozium_api import environment
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_console.console_settings import ConsoleSettings
from sympozium_console.instance_repository import InstanceRepository
from sympozium_console.object_pages import ObjectPages
from sympozium_console.run_repository import RunRepository
from sympozium_console.skill_catalog import SkillCatalog
from sympozium_http.bearer_keys import BearerKeys
from sympozium_http.request_metrics import RequestMetrics


@dataclass(frozen=True)
class ConsoleContext:
    """The parts of one console."""

    settings: ConsoleSettings
    client: Client
    tokens: BearerKeys
    instances: InstanceRepository
    runs: RunRepository
    skills: SkillCatalog
    metrics: RequestMetrics = field(default_factory=RequestMetrics)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Event set when the process begins to stop: it ends open event streams, which would outlast the grace period."""


def assemble(client: Client, settings: ConsoleSettings, clock: Clock) -> ConsoleContext:
    """Return the parts of a console that acts with the permissions of ``client``."""
    pages = ObjectPages(client)
    return ConsoleContext(
        settings=settings,
        client=client,
        tokens=BearerKeys(settings.tokens, prefix=environment.CONSOLE_TOKEN_PREFIX, clock=clock.monotonic),
        instances=InstanceRepository(client, pages),
        runs=RunRepository(client, pages),
        skills=SkillCatalog(pages, built_in=settings.namespace),
    )


def of_request(request: Request) -> ConsoleContext:
    """Return the context of the application that serves a request."""
    context: ConsoleContext = request.app.state.context
    return context
