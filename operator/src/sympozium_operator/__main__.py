"""Process of the operator. It ends on SIGTERM and when kopf gives up; after it lost its Lease it starts again from nothing."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog
import uvloop

from sympozium_api import logs
from sympozium_api.client import ApiError, ApiUnavailable, Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_api.names import FIELD_MANAGER
from sympozium_api.resources import INSTANCES, RUNS, SKILL_PACKS, ResourceType
from sympozium_operator import operator_settings
from sympozium_operator.cluster.lease import Lease, LeaseLost
from sympozium_operator.operator_metrics import STALLED_AFTER, OperatorMetrics, served
from sympozium_operator.operator_settings import OperatorSettings
from sympozium_operator.scheduling.work_queue import WorkQueue
from sympozium_operator.watches import agents, children, gateway_api, kopf_handlers, policies, tools
from sympozium_operator.watches.resync import Resync
from sympozium_operator.watches.watch_feed import WatchFeed
from sympozium_operator.wiring import wire

_CRD_POLL = 2.0
"""Seconds between checks that the CRDs are installed."""
_SHUTDOWN_GRACE = 0.2
"""Seconds to wait for cancelled tasks. kopf takes longer, but nothing depends on what it does then."""

log = structlog.get_logger()


async def main(settings: OperatorSettings) -> None:
    """Run until a signal asks to stop, or until continuing would be wrong."""
    stop = _stop_on_signal()
    clock = SystemClock()
    async with Client.connect(from_environment()) as client:
        operator = wire(client=client, clock=clock, settings=settings)
        queue = WorkQueue(operator.dispatcher, workers=settings.workers, loop=asyncio.get_running_loop())
        operator.metrics.bind(queue, operator.fair_queue)
        resync = Resync(
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
            count_unreadable=operator.metrics.count_unreadable,
            settings=settings,
        )
        lease = Lease(client, settings.namespace, FIELD_MANAGER, settings.identity, clock=clock, sleep=asyncio.sleep)
        alive = partial(_is_alive, queue)
        async with served(operator.metrics, settings.metrics_port, alive=alive):
            try:
                await _first(_crds_installed(client, settings), stop.wait())
                if not stop.is_set():
                    watches = partial(_watch, WatchFeed(client, queue, operator.metrics.count_watch_failure), settings)
                    handlers = await kopf_handlers.spawn(
                        queue.add, identity=settings.identity, namespaces=settings.watch_namespaces
                    )
                    await _first(handlers, _lead(lease, resync, operator.metrics, watches), stop.wait())
            finally:
                await queue.close()
                await lease.release()


def _is_alive(queue: WorkQueue) -> bool:
    return queue.stalled() < STALLED_AFTER


async def _lead(
    lease: Lease, resync: Resync, metrics: OperatorMetrics, watches: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    await lease.acquire()
    metrics.leader.set(1)
    await _first(lease.hold(), resync.run(watches))


async def _watch(feed: WatchFeed, settings: OperatorSettings) -> None:
    """Feed the queue without end from the watches that only the leader has."""
    gateways = gateway_api.watches(feed, settings.namespace, settings.scopes)
    scopes = settings.scopes
    await asyncio.gather(
        *agents.watches(feed, scopes),
        *gateways,
        *children.watches(feed, scopes),
        *tools.watches(feed, scopes),
        *policies.watches(feed, scopes),
    )


def _stop_on_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets. It replaces kopf's handlers, so that the Lease is released at once."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _first(*steps: Coroutine[Any, Any, object]) -> None:
    """Run all steps until one of them ends, and cancel the others; raise its exception, if it has one."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.wait(pending, timeout=_SHUTDOWN_GRACE)
    for task in done:
        task.result()


async def _crds_installed(client: Client, settings: OperatorSettings) -> None:
    """Return when the API server answers and the CRDs are installed: without them kopf would watch nothing, and log it only once.

    When the CRDs are deleted kopf gives up. The next process waits here instead of crashing, because Kubernetes restarts a
    crashing container only every few minutes.
    """
    for kind in (INSTANCES, RUNS, SKILL_PACKS):
        while obstacle := await _obstacle(client, kind, settings):
            log.warning(obstacle, kind=kind.kind)
            await asyncio.sleep(_CRD_POLL)


async def _obstacle(client: Client, kind: ResourceType, settings: OperatorSettings) -> str:
    """Return the reason why a kind cannot be read; empty if it can. Other namespaces than the operator's own may be gone."""
    try:
        await client.page(kind, None if None in settings.scopes else settings.namespace, limit=1, after="")
    except ApiUnavailable:
        return "API server unreachable, waiting for it"
    except ApiError as error:
        if not error.not_found:
            raise
        return "CRD not installed, waiting for it"
    return ""


def lead_until_stopped(settings: OperatorSettings) -> None:
    """Run ``main``, again whenever the Lease was lost: everything that this process was doing has been cancelled by then.

    An API server that is away for some seconds is no reason to crash, because Kubernetes delays the restart by minutes.
    """
    while True:
        try:
            return uvloop.run(main(settings))
        except LeaseLost as error:
            log.warning("leadership lost", reason=str(error))


if __name__ == "__main__":
    try:
        process_settings = operator_settings.from_environment()
        logs.configure(process_settings.log_level)
        lead_until_stopped(process_settings)
    except (ApiError, ApiUnavailable) as error:
        sys.exit(f"API server unreachable: {error}")
