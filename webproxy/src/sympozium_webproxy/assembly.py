"""One web-proxy, put together from its parts. The only place that knows all of them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette

from sympozium_api import environment
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_runs.board import Board
from sympozium_runs.follow import RunWatch
from sympozium_runs.http.keys import BearerKeys
from sympozium_runs.identity import PodTokens
from sympozium_runs.idle import IdlePods
from sympozium_runs.metrics import SurfaceMetrics
from sympozium_runs.runs import Runs
from sympozium_runs.store import Store
from sympozium_runs.surface import create_surface
from sympozium_runs.tracing import Tracing
from sympozium_webproxy.app import create_app
from sympozium_webproxy.context import Context
from sympozium_webproxy.endpoint import Endpoint, watch_instance
from sympozium_webproxy.limits import RateLimiter
from sympozium_webproxy.peers import Peers
from sympozium_webproxy.settings import Settings


@dataclass(frozen=True)
class WebProxy:
    """What a process serves and keeps doing."""

    context: Context
    app: FastAPI
    """Port 8080."""
    surface: Starlette
    """Port 8081."""
    idle: IdlePods
    """The idle pods that wait at it."""
    watches: tuple[Callable[[], Coroutine[Any, Any, None]], ...]
    """To be run beside, without end."""


def assemble(client: Client, settings: Settings, clock: Clock, tracing: Tracing | None = None) -> WebProxy:
    """A web-proxy of the instance that the settings name."""
    tracing = tracing or Tracing()
    keys = BearerKeys(settings.api_keys, prefix=environment.API_KEY_PREFIX, clock=clock.monotonic)
    surface_metrics = SurfaceMetrics(lambda: keys.ids)
    store, board, idle = Store(client, clock), Board(), IdlePods(settings.reply_to, surface_metrics)
    endpoint = Endpoint(idle.expect)
    runs = Runs(store, board, idle=idle, open_runs=lambda: run_watch.open_count)
    limiter = RateLimiter(clock=clock.monotonic)
    peers = Peers(limiter, endpoint, clock, settings.reply_to)
    run_watch = RunWatch(
        client, settings.namespace, settings.instance, store=store, board=board, runs=runs, newcomer=peers.observe
    )

    async def watch_runs() -> None:
        await endpoint.read.wait()  # its limits say what runs cost
        await run_watch.run()

    context = Context(
        settings=settings,
        endpoint=endpoint,
        runs=runs,
        keys=keys,
        limiter=limiter,
        clock=clock,
        open_runs=lambda: run_watch.open_count,
        runs_known=lambda: run_watch.synced,
        api_answers=client.answers,
        tracing=tracing,
    )
    context.metrics.observe(open_runs=context.open_runs, waiting=board.waiting, others=surface_metrics.registry)
    return WebProxy(
        context=context,
        app=create_app(context),
        surface=create_surface(
            store, board, PodTokens(client), clock, metrics=surface_metrics, tracing=tracing, idle=idle
        ),
        idle=idle,
        watches=(lambda: watch_instance(client, settings.namespace, settings.instance, endpoint), watch_runs),
    )
