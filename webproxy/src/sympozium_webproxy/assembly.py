"""One web-proxy, put together from its parts. The only place that knows all of them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette

from sympozium_api import environment, names
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_http.bearer_keys import BearerKeys
from sympozium_http.tracing import Tracing
from sympozium_runs.agent_api import create_agent_api
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import RunBroker
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.run_queue import RunQueue
from sympozium_runs.run_store import RunStore
from sympozium_runs.run_watch import RunWatch
from sympozium_runs.runs import Runs
from sympozium_webproxy.access_tokens import AccessTokens
from sympozium_webproxy.app import create_app
from sympozium_webproxy.context import Context
from sympozium_webproxy.endpoint import Endpoint, watch_instance, watch_skills
from sympozium_webproxy.limits import RateLimiter
from sympozium_webproxy.peers import Peers
from sympozium_webproxy.settings import WebProxySettings


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


def assemble(client: Client, settings: WebProxySettings, clock: Clock, tracing: Tracing | None = None) -> WebProxy:
    """A web-proxy of the instance that the settings name."""
    tracing = tracing or Tracing()
    keys = BearerKeys(settings.api_keys, prefix=environment.API_KEY_PREFIX, clock=clock.monotonic)
    surface_metrics = AgentApiMetrics(lambda: {*keys.ids, names.OAUTH_CALLERS})
    store, board, idle = RunStore(client, clock), RunBroker(), IdlePods(settings.reply_to, surface_metrics)
    endpoint = Endpoint(idle.expect)
    queue = RunQueue(shared=lambda: len(keys.ids) > 1 or endpoint.oauth() is not None)
    runs = Runs(store, board, queue, clock, idle=idle)
    limiter = RateLimiter(clock=clock.monotonic)
    peers = Peers(limiter, endpoint, clock, settings.reply_to)
    run_watch = RunWatch(
        client,
        settings.namespace,
        settings.instance,
        store=store,
        board=board,
        runs=runs,
        queue=queue,
        newcomer=peers.observe,
    )

    async def watch_runs() -> None:
        await endpoint.read.wait()  # its limits say what runs cost
        await run_watch.run()

    async def instance(namespace: str, name: str) -> SympoziumInstance:
        """For the tasks of its pods: the watch knows it already."""
        own = endpoint.instance if (namespace, name) == (settings.namespace, settings.instance) else None
        return own or await store.instance(namespace, name)

    context = Context(
        settings=settings,
        endpoint=endpoint,
        runs=runs,
        keys=keys,
        tokens=AccessTokens(clock=clock.monotonic),
        limiter=limiter,
        clock=clock,
        open_runs=lambda: len(queue),
        runs_known=lambda: run_watch.synced,
        api_answers=client.answers,
        tracing=tracing,
    )
    context.metrics.observe(open_runs=context.open_runs, waiting=board.waiting, others=surface_metrics.registry)
    return WebProxy(
        context=context,
        app=create_app(context),
        surface=create_agent_api(
            store,
            board,
            PodTokens(client),
            clock,
            instance=instance,
            metrics=surface_metrics,
            tracing=tracing,
            idle=idle,
        ),
        idle=idle,
        watches=(
            lambda: watch_instance(client, settings.namespace, settings.instance, endpoint),
            lambda: watch_skills(client, settings.namespace, settings.instance, endpoint),
            watch_runs,
        ),
    )
