"""The operator's process: settings, wiring, run. It ends on SIGTERM and when kopf gives up; with a lost Lease it begins anew."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import kopf
import structlog
from kopf._core.engines.peering import Identity

from sympozium_api import logs
from sympozium_api.client import ApiError, ApiUnavailable, Client, ResourceType, from_environment
from sympozium_api.clock import SystemClock
from sympozium_api.names import FIELD_MANAGER
from sympozium_api.resources import INSTANCES, RUNS, SKILL_PACKS
from sympozium_operator import operator_settings as settings_module
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.lease import Lease, LeaseLost
from sympozium_operator.desired.agent_job import AgentPod
from sympozium_operator.desired.network_policy import Egress
from sympozium_operator.desired.web_proxy import TraceExport
from sympozium_operator.operator_metrics import STUCK_AFTER, OperatorMetrics, served
from sympozium_operator.operator_settings import InvalidSetting, OperatorSettings
from sympozium_operator.policy.run_decision import RunLimits
from sympozium_operator.reconcile.api_key_secrets import ApiKeySecrets
from sympozium_operator.reconcile.config_reconciler import ConfigReconciler
from sympozium_operator.reconcile.dispatcher import Dispatcher
from sympozium_operator.reconcile.instance_reconciler import InstanceReconciler
from sympozium_operator.reconcile.network_policies import NetworkPolicies
from sympozium_operator.reconcile.pool_reconciler import PoolReconciler
from sympozium_operator.reconcile.route_reconciler import RouteReconciler
from sympozium_operator.reconcile.run_pruner import RunPruner
from sympozium_operator.reconcile.run_reconciler import RunReconciler
from sympozium_operator.reconcile.server_run_reconciler import ServerRunReconciler
from sympozium_operator.reconcile.skill_gatherer import SkillGatherer
from sympozium_operator.reconcile.skill_pack_reconciler import SkillPackReconciler
from sympozium_operator.scheduling.fair_queue import FairQueue
from sympozium_operator.scheduling.pool_sizer import LaunchRate
from sympozium_operator.scheduling.work_queue import WorkQueue
from sympozium_operator.watches import gateway_api, kopf_handlers
from sympozium_operator.watches.resync import Resync

_KINDS_AGAIN = 2.0
"""Seconds between looks whether the CRDs have come."""
_WIND_DOWN = 0.2
"""Seconds that what was cancelled is waited for; kopf takes longer, but does nothing that anybody waits for."""

log = structlog.get_logger()


def wire(
    client: Client,
    settings: OperatorSettings,
    *,
    fair_queue: FairQueue,
    metrics: OperatorMetrics,
    events: EventRecorder,
    keys: ApiKeySecrets,
    skills: SkillGatherer,
) -> Dispatcher:
    """All reconcilers, with what they need."""
    clock = SystemClock()
    agent = AgentPod(
        image=settings.agent_image,
        pull_policy=settings.image_pull_policy,
        resources=settings.agent_resources,
        runs_url=settings.runs_url,
        template=settings.agent_pod,
    )
    egress = Egress(settings.namespace, settings.extra_agent_egress) if settings.network_policies else None
    policies = NetworkPolicies(client, egress)
    tracing = (
        TraceExport(settings.tracing_endpoint, settings.tracing_sample_ratio) if settings.tracing_endpoint else None
    )
    limits = RunLimits(settings.start_timeout, settings.failed_job_retention)
    pools = PoolReconciler(
        client,
        clock,
        metrics,
        agent,
        LaunchRate(settings.refill_rate),
        lambda: fair_queue.cluster_full,
        settings.start_timeout,
    )
    runs = RunReconciler(client, clock, fair_queue, metrics, events, agent, limits, pools)
    routes = RouteReconciler(client, settings.namespace, settings.scopes)
    return Dispatcher(
        client=client,
        metrics=metrics,
        instances=InstanceReconciler(
            client, clock, events, settings.namespace, policies, routes, skills, pools, runs.next_runs
        ),
        runs=runs,
        servers=ServerRunReconciler(
            client,
            clock,
            events,
            namespace=settings.namespace,
            pull_policy=settings.image_pull_policy,
            policies=policies,
            keys=keys,
            template=settings.web_proxy_pod,
            tracing=tracing,
        ),
        skill_packs=SkillPackReconciler(client, settings.namespace, settings.scopes),
        configs=ConfigReconciler(client, clock, events, settings.namespace, settings.scopes),
        pools=pools,
    )


async def main(settings: OperatorSettings) -> None:
    """Run until told to stop, or until going on would be wrong."""
    clock, fair_queue, metrics = SystemClock(), FairQueue(), OperatorMetrics()
    stop = _told_to_stop()
    async with Client.connect(from_environment()) as client:
        events = EventRecorder(client, clock)
        keys = ApiKeySecrets(client, events)
        skills = SkillGatherer(client, settings.namespace)
        dispatch = wire(
            client, settings, fair_queue=fair_queue, metrics=metrics, events=events, keys=keys, skills=skills
        )
        queue = WorkQueue(dispatch, workers=settings.workers, loop=asyncio.get_running_loop())
        metrics.bind(queue, fair_queue)
        pruner = RunPruner(client, clock, settings.scopes, settings.run_retention, settings.runs_kept)
        resync = Resync(client, queue, fair_queue, pruner, keys, skills, settings)
        lease = Lease(client, settings.namespace, FIELD_MANAGER, settings.identity, clock=clock, sleep=asyncio.sleep)
        async with served(metrics, settings.metrics_port, alive=lambda: queue.stalled() < STUCK_AFTER):
            try:
                await _first(_kinds_are_there(client, settings), stop.wait())
                if not stop.is_set():
                    watches = partial(gateway_api.follow, client, queue.add, settings.namespace, settings.scopes)
                    await _first(await _kopf(settings, queue), _lead(lease, resync, metrics, watches), stop.wait())
            finally:
                await queue.close()
                await lease.release()


async def _lead(
    lease: Lease, resync: Resync, metrics: OperatorMetrics, watches: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    await lease.acquire()
    metrics.leader.set(1)
    # In this order: the queue is open before the watches find the first key for it.
    await _first(lease.hold(), resync.run(), watches())


async def _kopf(settings: OperatorSettings, queue: WorkQueue) -> Coroutine[Any, Any, None]:
    """The watching by kopf, ready to run. It ends by itself only when a watch is beyond repair."""
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=kopf_handlers.registry(queue.add),
        settings=kopf_handlers.settings(),
        identity=Identity(settings.identity),  # kopf's own guess asks for a user name, which a container has none of
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
    )
    return kopf.run_tasks(tasks, ignored=before)


def _told_to_stop() -> asyncio.Event:
    """Set on SIGTERM or SIGINT. Ours replace kopf's: the Lease is released at once, not after kopf has wound down."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _first(*steps: Coroutine[Any, Any, object]) -> None:
    """Run all until one of them ends; its exception, if it has one, is raised when the others have been cancelled."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.wait(pending, timeout=_WIND_DOWN)
    for task in done:
        task.result()


async def _kinds_are_there(client: Client, settings: OperatorSettings) -> None:
    """Return when the API server answers and the CRDs are installed: without them kopf would watch nothing, and say so only once.
    When they are deleted kopf gives up, and the next process waits here rather than to crash until Kubernetes starts it minutes
    apart.
    """
    for kind in (INSTANCES, RUNS, SKILL_PACKS):
        while missing := await _missing(client, kind, settings):
            log.warning(missing, kind=kind.kind)
            await asyncio.sleep(_KINDS_AGAIN)


async def _missing(client: Client, kind: ResourceType, settings: OperatorSettings) -> str:
    """What stands in the way of reading a kind; empty: nothing."""
    try:
        await client.page(kind, settings.scopes[0], limit=1, after="")
    except ApiUnavailable:
        return "the API server does not answer, waiting for it"
    except ApiError as error:
        if not error.not_found:
            raise
        return "not installed, waiting for it"
    return ""


def lead_again_and_again(settings: OperatorSettings) -> None:
    """``main``, from the beginning whenever the Lease was lost: all that this process was doing has been cancelled by then.

    An API server that is away for some seconds is no reason to crash, for Kubernetes starts what crashes minutes apart.
    """
    while True:
        try:
            return asyncio.run(main(settings))
        except LeaseLost as error:
            log.warning("not leading any more", reason=str(error))


if __name__ == "__main__":
    try:
        found = settings_module.from_environment()
        logs.configure(found.log_level)
        lead_again_and_again(found)
    except InvalidSetting as error:
        sys.exit(str(error))
    except (ApiError, ApiUnavailable) as error:
        sys.exit(f"the API server does not answer: {error}")
