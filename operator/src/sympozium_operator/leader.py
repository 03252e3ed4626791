"""Work of a replica on the shards that it holds. When these change, all work ends and begins again from nothing, as after a takeover."""

import asyncio
from typing import Protocol

import structlog

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_operator.cluster.first import first
from sympozium_operator.operator_metrics import STALLED_AFTER, OperatorMetrics
from sympozium_operator.operator_settings import OperatorSettings
from sympozium_operator.result import Key
from sympozium_operator.scheduling.shards import Shards
from sympozium_operator.scheduling.work_queue import WorkQueue
from sympozium_operator.watches import agents, children, gateway_api, policies, tools
from sympozium_operator.watches.resync import Resync
from sympozium_operator.watches.watch_feed import WatchFeed
from sympozium_operator.wiring import Operator, wire

log = structlog.get_logger()


class Assignment(Protocol):
    """Part of the election that says on which shards to work."""

    async def assigned(self) -> frozenset[int]:
        """Return the shards to work on, once there are some. No work may go on meanwhile."""

    async def changed(self, shards: frozenset[int]) -> None:
        """Return when the shards to work on are others than these."""


class Leader:
    """Work of a process, which is none until it leads."""

    def __init__(self, client: Client, clock: Clock, settings: OperatorSettings) -> None:
        self.metrics = OperatorMetrics()
        self.metrics.shards.set(settings.shards)
        self._client = client
        self._clock = clock
        self._settings = settings
        self._queue: WorkQueue | None = None
        self._ending_since: float | None = None
        """Time since which work is to end; None: none is."""

    def add(self, *keys: Key) -> None:
        """Add keys to reconcile, if this process leads."""
        if self._queue is not None:
            self._queue.add(*keys)

    def is_alive(self) -> bool:
        """Return whether the work goes on, if there is any, or ends in time: its shards are not handed over before it has ended."""
        if self._ending_since is not None and self._clock.monotonic() - self._ending_since >= STALLED_AFTER:
            return False
        return self._queue is None or self._queue.stalled() < STALLED_AFTER

    async def lead(self, assignment: Assignment) -> None:
        """Work on the shards that this replica is to work on, without end."""
        while True:
            held = await assignment.assigned()
            self.metrics.leader.set(1)
            self.metrics.shards_held.set(len(held))
            shards = Shards(self._settings.namespace, self._settings.shards, held)
            if shards.are_divided:
                log.info("work begins", shards=sorted(held), of=shards.count)
            try:
                await first(self._work(shards), self._until_changed(assignment, held))
            finally:
                await self.close()
            self.metrics.leader.set(0)
            self.metrics.shards_held.set(0)
            self.metrics.idle.set(0)

    async def close(self) -> None:
        """Stop at once: cancel running reconciles and drop all keys."""
        self._note_ending()
        if self._queue is not None:
            await self._queue.close()
        self._ending_since = None

    async def _until_changed(self, assignment: Assignment, held: frozenset[int]) -> None:
        await assignment.changed(held)
        self._note_ending()

    def _note_ending(self) -> None:
        if self._ending_since is None:
            self._ending_since = self._clock.monotonic()

    async def _work(self, shards: Shards) -> None:
        operator = wire(
            client=self._client, clock=self._clock, settings=self._settings, shards=shards, metrics=self.metrics
        )
        loop = asyncio.get_running_loop()
        self._queue = queue = WorkQueue(
            operator.dispatcher, workers=self._settings.workers, loop=loop, take=shards.take
        )
        self.metrics.bind(queue, operator.fair_queue)
        feed = WatchFeed(self._client, queue, self.metrics.count_watch_failure, shards.take)
        await _resync(operator, queue, self._settings).run(lambda: _watch(feed, self._settings))


def _resync(operator: Operator, queue: WorkQueue, settings: OperatorSettings) -> Resync:
    return Resync(
        lists=operator.lists,
        queue=queue,
        fair_queue=operator.fair_queue,
        pruner=operator.pruner,
        console_secrets=operator.console_secrets,
        credentials=operator.credentials,
        trials=operator.trials,
        api_keys=operator.api_keys,
        skills=operator.skills,
        others=operator.others,
        hostnames=operator.hostnames,
        shards=operator.shards,
        count_unreadable=operator.metrics.count_unreadable,
        settings=settings,
    )


async def _watch(feed: WatchFeed, settings: OperatorSettings) -> None:
    """Feed the queue without end from the watches that only a leader has."""
    scopes = settings.scopes
    await asyncio.gather(
        *agents.watches(feed, scopes),
        *gateway_api.watches(feed, settings.namespace, scopes),
        *children.watches(feed, scopes),
        *tools.watches(feed, scopes),
        *policies.watches(feed, scopes),
    )
