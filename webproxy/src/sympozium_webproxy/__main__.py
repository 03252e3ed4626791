"""``python -m sympozium_webproxy``: one replica of an instance's web endpoint, ports 8080 (clients) and 8081 (agent pods)."""

import asyncio
import os

import uvloop

from sympozium_api import logs, names
from sympozium_api.client import ApiError, ApiUnavailable, Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_runs.board import Board
from sympozium_runs.follow import RunWatch
from sympozium_runs.identity import PodTokens
from sympozium_runs.runs import Runs
from sympozium_runs.serving import Listener, serve
from sympozium_runs.store import Store
from sympozium_runs.surface import create_surface
from sympozium_webproxy import settings as settings_module
from sympozium_webproxy.app import create_app
from sympozium_webproxy.context import Context
from sympozium_webproxy.endpoint import Endpoint, watch_instance
from sympozium_webproxy.keys import ApiKeys
from sympozium_webproxy.limits import RateLimiter
from sympozium_webproxy.settings import Settings


async def main(settings: Settings) -> None:
    """Serve until SIGTERM."""
    clock = SystemClock()
    async with Client.connect(from_environment()) as client:
        store, board, endpoint = Store(client, clock), Board(), Endpoint()
        runs = Runs(store, board, reply_to=settings.reply_to)
        run_watch = RunWatch(client, settings.namespace, settings.instance, store=store, board=board, runs=runs)

        async def api_answers() -> bool:
            try:
                await client.raw("/version")
            except (ApiError, ApiUnavailable):
                return False
            return True

        context = Context(
            settings=settings,
            endpoint=endpoint,
            runs=runs,
            keys=ApiKeys(settings.api_keys, clock=clock.monotonic),
            limiter=RateLimiter(clock=clock.monotonic),
            clock=clock,
            open_runs=lambda: run_watch.open_count,
            api_answers=api_answers,
        )

        def drain() -> None:
            context.draining = True

        listeners = [
            Listener(create_app(context), names.HTTP_PORT),
            Listener(create_surface(store, board, PodTokens(client), clock), names.RUNS_PORT),
        ]
        watches = [
            asyncio.create_task(watch_instance(client, settings.namespace, settings.instance, endpoint)),
            asyncio.create_task(run_watch.run()),
        ]
        try:
            await serve(listeners, drain=drain, grace_seconds=settings.grace_seconds)
        finally:
            for task in watches:
                task.cancel()


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main(settings_module.from_environment(os.environ)))
