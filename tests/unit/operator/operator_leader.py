"""A leader: the operator's reconcilers, work queue, resync and own watches on an API server in memory, with time moved by hand."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.virtual_time import VirtualTime, rest
from tests.unit.operator.objects import SYSTEM
from tests.unit.operator.operator_world import operator_settings

from sympozium_operator.result import Key, Result
from sympozium_operator.scheduling.work_queue import WorkQueue
from sympozium_operator.watches import agents, children, gateway_api
from sympozium_operator.watches.resync import Resync
from sympozium_operator.watches.watch_feed import WatchFeed
from sympozium_operator.wiring import wire

Object = dict[str, Any]


class Leader:
    """One leader that knows nothing yet. ``reconcile`` and ``sleep`` replace its own; with ``sleep``, a test calls the loops itself."""

    def __init__(
        self,
        *objects: Object,
        reconcile: Callable[[Key], Awaitable[Result]] | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        **variables: str,
    ) -> None:
        self.time = VirtualTime()
        self.cluster = FakeKubernetes(self.time.now)
        for body in objects:
            self.cluster.put(body)
        self.settings = operator_settings(**variables)
        pace = (
            self.time.sleep if sleep is None else asyncio.sleep
        )  # nobody moves the time while a test waits for a loop
        self.operator = wire(client=self.cluster, clock=self.time, settings=self.settings, sleep=pace)
        self.metrics = self.operator.metrics
        self.queue = WorkQueue(reconcile or self.operator.dispatcher, workers=16, loop=self.time)
        self.queue.open()
        self.resync = Resync(
            lists=self.operator.lists,
            queue=self.queue,
            fair_queue=self.operator.fair_queue,
            pruner=self.operator.pruner,
            console_secrets=self.operator.console_secrets,
            credentials=self.operator.credentials,
            trials=self.operator.trials,
            api_keys=self.operator.api_keys,
            skills=self.operator.skills,
            others=self.operator.others,
            hostnames=self.operator.hostnames,
            shards=self.operator.shards,
            settings=self.settings,
            count_unreadable=self.metrics.count_unreadable,
            sleep=sleep or self.time.sleep,
        )

    def unreadable(self, kind: str) -> float | None:
        metric = "sympozium_operator_unreadable_objects_total"
        return self.metrics.registry.get_sample_value(metric, {"kind": kind})

    @contextmanager
    def watching(self) -> Iterator[list["asyncio.Task[None]"]]:
        """Watch until the end of the block."""
        with _running(*self._watches()) as tasks:
            yield tasks

    def _watches(self) -> list[Coroutine[Any, Any, None]]:
        feed = WatchFeed(self.cluster, self.queue, self.metrics.count_watch_failure)
        scopes = self.settings.scopes
        return [
            *agents.watches(feed, scopes),
            *children.watches(feed, scopes),
            *gateway_api.watches(feed, SYSTEM, scopes),
        ]

    async def _watch(self) -> None:
        await asyncio.gather(*self._watches())

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Resync and watch until the end of the block."""
        with _running(self.resync.run(self._watch)):
            yield

    async def settle(self) -> None:
        """Let the queue reconcile what is ready now."""
        async with asyncio.timeout(60):
            await rest()
            while self.queue.schedule.depth() or self.queue.schedule.running:
                await asyncio.sleep(0)


@contextmanager
def _running(*loops: Coroutine[Any, Any, None]) -> Iterator[list["asyncio.Task[None]"]]:
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
