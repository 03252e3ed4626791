"""Process of the operator. It ends on SIGTERM and when kopf gives up; after it lost its Lease it starts again from nothing."""

import asyncio
import signal
import sys

import structlog
import uvloop

from sympozium_api import logs
from sympozium_api.client import ApiError, ApiUnavailable, Client, from_environment
from sympozium_api.clock import SystemClock
from sympozium_api.resources import INSTANCES, RUNS, SKILL_PACKS, ResourceType
from sympozium_operator import operator_settings
from sympozium_operator.cluster.first import first
from sympozium_operator.cluster.lease import LeaseLost
from sympozium_operator.cluster.shard_leases import ShardLeases
from sympozium_operator.leader import Leader
from sympozium_operator.operator_metrics import served
from sympozium_operator.operator_settings import OperatorSettings
from sympozium_operator.watches import kopf_handlers

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
        leases = ShardLeases(
            client, settings.namespace, settings.identity, shards=settings.shards, clock=clock, sleep=asyncio.sleep
        )
        leader = Leader(client, clock, settings)
        async with served(leader.metrics, settings.metrics_port, alive=leader.is_alive):
            try:
                await first(_crds_installed(client, settings), stop.wait(), grace=_SHUTDOWN_GRACE)
                if not stop.is_set():
                    handlers = await kopf_handlers.spawn(
                        leader.add, identity=settings.identity, namespaces=settings.watch_namespaces
                    )
                    steps = (handlers, leases.keep(), leader.lead(leases), stop.wait())
                    await first(*steps, grace=_SHUTDOWN_GRACE)
            finally:
                await leader.close()
                await leases.release()


def _stop_on_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets. It replaces kopf's handlers, so that the Lease is released at once."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


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
