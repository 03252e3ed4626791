"""What the routes work with, handed in once when the application is made."""

import asyncio
from dataclasses import dataclass, field

from starlette.requests import Request

from sympozium_api import environment
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_console.instances import Instances
from sympozium_console.listing import Listing
from sympozium_console.runs import Runs
from sympozium_console.settings import ConsoleSettings
from sympozium_console.skills import Skills
from sympozium_http.bearer_keys import BearerKeys
from sympozium_http.request_metrics import RequestMetrics


@dataclass(frozen=True)
class Context:
    """The parts of one console."""

    settings: ConsoleSettings
    client: Client
    tokens: BearerKeys
    instances: Instances
    runs: Runs
    skills: Skills
    metrics: RequestMetrics = field(default_factory=RequestMetrics)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is told to end: streams, which would go on for ever, end then."""


def assemble(client: Client, settings: ConsoleSettings, clock: Clock) -> Context:
    """The parts of a console that acts with the rights of ``client``."""
    listing = Listing(client)
    return Context(
        settings=settings,
        client=client,
        tokens=BearerKeys(settings.tokens, prefix=environment.CONSOLE_TOKEN_PREFIX, clock=clock.monotonic),
        instances=Instances(client, listing),
        runs=Runs(client, listing),
        skills=Skills(listing, built_in=settings.namespace),
    )


def of(request: Request) -> Context:
    """The context of the application that a request came to."""
    found: Context = request.app.state.context
    return found
