"""``python -m tests.bench.console_starts``: time from a request to the creation of its AgentRun, at the console and at a web-proxy.

No cluster: both serve on this machine, in front of an API server in memory that answers after ``--api-ms``. Requests are sent in turn,
so that a busy machine makes both slower; their processor time does not depend on that. The console reads the instance of each request,
which the web-proxy has from its watch, and so waits for one answer of the API server more.
"""

import argparse
import asyncio
import contextlib
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import TokenIssuer
from tests.integration.conftest import KEY, assembled, eventually, instance, session_key
from tests.integration.console.conftest import serving

from sympozium_api.resources import INSTANCES, RUNS, Object, ResourceType
from sympozium_archive.database import Database
from sympozium_webproxy.settings import WebProxySettings

log = logging.getLogger(__name__)

WAITS = {"maxConcurrentRuns": 100, "maxQueuedRuns": 10_000}


Moment = tuple[float, float]
"""Seconds on the wall clock and of this process's processor time."""


def now() -> Moment:
    """Return this moment."""
    return time.perf_counter(), time.process_time()


def since(began: Moment, ended: Moment) -> Moment:
    """Return the milliseconds between two moments."""
    return (ended[0] - began[0]) * 1000, (ended[1] - began[1]) * 1000


class Starts:
    """The moment of the newest creation of a run at an API server in memory, which answers after a while."""

    def __init__(self, kubernetes: FakeKubernetes, api_seconds: float) -> None:
        self.created = now()
        self._seconds = api_seconds
        self._create, self._get = kubernetes.create, kubernetes.get
        kubernetes.create, kubernetes.get = self.create, self.get  # type: ignore[method-assign]

    async def create(self, kind: ResourceType, *words: Any, **options: Any) -> Object:
        if kind == RUNS:
            self.created = now()
        await asyncio.sleep(self._seconds)
        return await self._create(kind, *words, **options)

    async def get(self, kind: ResourceType, *words: Any, **options: Any) -> Object:
        if kind == INSTANCES:
            await asyncio.sleep(self._seconds)
        return await self._get(kind, *words, **options)


async def measured(samples: int, api_seconds: float, folder: Path) -> tuple[list[Moment], list[Moment]]:
    """Return milliseconds from request to creation: the web-proxy's, and the console's."""
    (folder / "api-key").write_text(f"{KEY}\n")
    kubernetes, clock = FakeKubernetes(), FakeClock()
    TokenIssuer(kubernetes)
    kubernetes.put(instance(**WAITS))
    settings = WebProxySettings("default", "demo", "127.0.0.1", api_keys=folder, session_key=session_key(folder))
    database = await Database.open_scratch(str(folder / "index.db"))
    async with contextlib.AsyncExitStack() as stack:
        _, _, _, http = await stack.enter_async_context(assembled(kubernetes, settings, clock))
        console = await stack.enter_async_context(serving(folder, database))
        console.kubernetes.put(instance(**WAITS))
        watches = console.context.instance_runs.watches.values()
        running = [asyncio.create_task(watch.run()) for watch in watches]
        await eventually(lambda: all(watch.synced for watch in watches))
        question = {"model": "default", "input": "hello", "background": True}
        task = {"agentRef": "demo", "task": "hello"}
        ours, proxys = Starts(console.kubernetes, api_seconds), Starts(kubernetes, api_seconds)
        times: tuple[list[Moment], list[Moment]] = ([], [])
        for _ in range(samples):
            began = now()
            answer = await http.post("/v1/responses", json=question, headers={"Authorization": f"Bearer {KEY}"})
            assert answer.status_code == 200, answer.text
            times[0].append(since(began, proxys.created))
            began = now()
            answer = await console.http.post("/api/v1/runs", json=task)
            assert answer.status_code == 201, answer.text
            times[1].append(since(began, ours.created))
            clock.advance(1)
        for watch in running:
            watch.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    await database.close()
    return times


def main() -> None:
    """Print the medians of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=200, help="requests at each")
    parser.add_argument("--api-ms", type=float, default=2.0, help="time in which the API server answers")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        proxy, console = asyncio.run(measured(arguments.n, arguments.api_ms / 1000, Path(folder)))
    for number, clock in enumerate(("wall clock", "processor time")):
        medians = [statistics.median(moment[number] for moment in times) for times in (proxy, console)]
        log.info(
            "request to AgentRun, %s, p50, n=%d: web-proxy %.1f ms, console %.1f ms, difference %.1f ms",
            clock,
            arguments.n,
            *medians,
            medians[1] - medians[0],
        )
    log.info("goal: a difference of at most 5 ms on a machine at rest")


if __name__ == "__main__":
    main()
