"""Wiring of the operator: every reconciler with what it needs. The process and its tests share it."""

from dataclasses import dataclass

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.desired.agent_job import AgentPod
from sympozium_operator.desired.network_policy import Egress
from sympozium_operator.desired.web_proxy import TraceExport
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.operator_settings import OperatorSettings
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


@dataclass(frozen=True)
class Operator:
    """Parts of one operator that the process, its watches and its tests reach."""

    dispatcher: Dispatcher
    fair_queue: FairQueue
    metrics: OperatorMetrics
    api_keys: ApiKeySecrets
    skills: SkillGatherer
    pruner: RunPruner


def wire(*, client: Client, clock: Clock, settings: OperatorSettings) -> Operator:
    """Return an operator that knows nothing of the cluster yet."""
    fair_queue, metrics, events = FairQueue(), OperatorMetrics(), EventRecorder(client, clock)
    api_keys, skills = ApiKeySecrets(client, events), SkillGatherer(client, settings.namespace)
    policies = NetworkPolicies(client, _egress(settings))
    agent = _agent_pod(settings)
    pools = PoolReconciler(
        client=client,
        clock=clock,
        metrics=metrics,
        agent=agent,
        launch_rate=LaunchRate(settings.refill_rate),
        is_full=lambda: fair_queue.cluster_full,
        start_timeout=settings.start_timeout,
    )
    runs = RunReconciler(
        client=client,
        clock=clock,
        fair_queue=fair_queue,
        metrics=metrics,
        events=events,
        agent=agent,
        limits=RunLimits(start_timeout=settings.start_timeout, failed_job_retention=settings.failed_job_retention),
        pools=pools,
    )
    instances = InstanceReconciler(
        client=client,
        clock=clock,
        events=events,
        namespace=settings.namespace,
        policies=policies,
        routes=RouteReconciler(client=client, namespace=settings.namespace, scopes=settings.scopes),
        skills=skills,
        pools=pools,
        next_runs=runs.next_runs,
    )
    servers = ServerRunReconciler(
        client=client,
        clock=clock,
        events=events,
        namespace=settings.namespace,
        pull_policy=settings.image_pull_policy,
        keys=api_keys,
        policies=policies,
        template=settings.web_proxy_pod,
        tracing=_trace_export(settings),
    )
    dispatcher = Dispatcher(
        client=client,
        metrics=metrics,
        instances=instances,
        runs=runs,
        servers=servers,
        skill_packs=SkillPackReconciler(client=client, namespace=settings.namespace, scopes=settings.scopes),
        configs=ConfigReconciler(client, clock, events, settings.namespace, settings.scopes),
        pools=pools,
    )
    pruner = RunPruner(
        client=client, clock=clock, scopes=settings.scopes, retention=settings.run_retention, kept=settings.runs_kept
    )
    return Operator(dispatcher, fair_queue, metrics, api_keys, skills, pruner)


def _agent_pod(settings: OperatorSettings) -> AgentPod:
    return AgentPod(
        image=settings.agent_image,
        pull_policy=settings.image_pull_policy,
        resources=settings.agent_resources,
        runs_url=settings.runs_url,
        template=settings.agent_pod,
    )


def _egress(settings: OperatorSettings) -> Egress | None:
    return Egress(settings.namespace, settings.extra_agent_egress) if settings.network_policies else None


def _trace_export(settings: OperatorSettings) -> TraceExport | None:
    return TraceExport(settings.tracing_endpoint, settings.tracing_sample_ratio) if settings.tracing_endpoint else None
