"""Wiring of the operator: every reconciler with what it needs. The process and its tests share it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.policy_reader import PolicyReader
from sympozium_operator import builder_settings
from sympozium_operator.cluster.converge import Converger
from sympozium_operator.cluster.egress_guard import EgressGuard, Verify
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.repairs import Repairs
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.operator_settings import OperatorSettings
from sympozium_operator.reconcile.api_key_secrets import ApiKeySecrets
from sympozium_operator.reconcile.caller_secrets import CallerSecrets
from sympozium_operator.reconcile.config_reconciler import ConfigReconciler
from sympozium_operator.reconcile.console_secrets import ConsoleSecrets
from sympozium_operator.reconcile.dispatcher import Dispatcher
from sympozium_operator.reconcile.instance_reconciler import InstanceReconciler
from sympozium_operator.reconcile.network_policies import NetworkPolicies
from sympozium_operator.reconcile.policy_reconciler import PolicyReconciler
from sympozium_operator.reconcile.pool_reconciler import PoolReconciler
from sympozium_operator.reconcile.provider_directory import ProviderDirectory
from sympozium_operator.reconcile.provider_reconciler import ProviderReconciler
from sympozium_operator.reconcile.provider_trials import TRIALS_PER_SECOND, ProviderTrials
from sympozium_operator.reconcile.route_reconciler import RouteReconciler
from sympozium_operator.reconcile.run_gatherer import RunGatherer
from sympozium_operator.reconcile.run_models import RunModelGatherer
from sympozium_operator.reconcile.run_pruner import RunPruner
from sympozium_operator.reconcile.run_reconciler import RunReconciler
from sympozium_operator.reconcile.server_run_reconciler import ServerRunReconciler
from sympozium_operator.reconcile.session_keys import SessionKeys
from sympozium_operator.reconcile.skill_gatherer import SkillGatherer
from sympozium_operator.reconcile.skill_pack_reconciler import SkillPackReconciler
from sympozium_operator.reconcile.surface_routes import SurfaceRoutes
from sympozium_operator.reconcile.tool_gatherer import ToolGatherer
from sympozium_operator.reconcile.tool_reconciler import ToolReconciler
from sympozium_operator.reconcile.unnamed_credentials import UnnamedCredentials
from sympozium_operator.reconcile.unreadable_objects import UnreadableObjects
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.scheduling.capacity import Capacity
from sympozium_operator.scheduling.fair_queue import FairQueue
from sympozium_operator.scheduling.pace import Pace
from sympozium_operator.scheduling.pool_sizer import FIRST_REFILL, LaunchRate
from sympozium_operator.scheduling.shards import Shards
from sympozium_operator.scheduling.start_limit import StartLimit

Sleep = Callable[[float], Awaitable[None]]
POLLS_PER_SECOND = 100
"""Most checks per second of Secrets with API keys, and as many of ConfigMaps with skills (decisions 0016 and 0028)."""
OTHER_POLLS_PER_SECOND = 50
"""Most checks per second of other objects that the operator may not watch (decision 0051)."""


@dataclass(frozen=True)
class Operator:
    """Parts of one operator that the process, its watches and its tests reach."""

    dispatcher: Dispatcher
    fair_queue: FairQueue
    metrics: OperatorMetrics
    api_keys: VersionPoll
    """Poll of the Secrets with API keys, whole in each turn: a revoked key must be seen soon, whatever else an instance names."""
    skills: VersionPoll
    """Poll of the ConfigMaps that instances name."""
    others: VersionPoll
    """Poll of the other objects that the operator may not watch."""
    hostnames: VersionPoll
    """Poll of the routes that have the host names for which instances wait."""
    pruner: RunPruner
    lists: ScopedLists
    shards: Shards
    console_secrets: ConsoleSecrets
    credentials: UnnamedCredentials
    trials: ProviderTrials
    """Trials of Providers by the egress guard."""


@dataclass(frozen=True)
class _Base:
    """Parts that most reconcilers share."""

    client: Client
    converge: Converger
    clock: Clock
    settings: OperatorSettings
    metrics: OperatorMetrics
    events: EventRecorder
    lists: ScopedLists
    everywhere: ScopedLists
    """Lists of all served namespaces, of which ``lists`` has those of this process's shards."""
    shards: Shards
    fair_queue: FairQueue
    policies: NetworkPolicies
    callers: CallerSecrets
    providers: ProviderDirectory
    api_keys: VersionPoll
    skills: VersionPoll
    others: VersionPoll
    hostnames: VersionPoll
    claims: asyncio.Lock
    """Lock of the host names that routes take."""
    bounds: PolicyReader
    policy_objects: PolicyReconciler


def wire(
    *,
    client: Client,
    clock: Clock,
    settings: OperatorSettings,
    sleep: Sleep = asyncio.sleep,
    verify: Verify | None = None,
    shards: Shards | None = None,
    metrics: OperatorMetrics | None = None,
) -> Operator:
    """Return an operator that knows nothing of the cluster yet. ``verify`` tries Providers; None: by the egress guard, if there is one.

    ``shards``: those on which it works; None: all. Limits of what the nodes start are divided by them; what bounds this process's own
    work is not. ``metrics``: those of an earlier operator of this process.
    """
    if verify is None and settings.egress_url:
        verify = EgressGuard(settings.egress_url).verify
    metrics, shards = metrics or OperatorMetrics(), shards or Shards(settings.namespace)
    repairs = Repairs(clock.monotonic, metrics.count_delayed_repair)
    converge = Converger(client, repairs)

    def poll(per_second: float, *, one_by_one: bool) -> VersionPoll:
        pace = Pace(per_second, now=clock.monotonic, sleep=sleep)
        return VersionPoll(client, metrics.count_unreadable, pace, one_by_one)

    others = poll(OTHER_POLLS_PER_SECOND, one_by_one=True)
    events, everywhere = EventRecorder(client, clock), ScopedLists(client, settings.scopes, metrics.count_unreadable)
    lists = replace(everywhere, own=shards.own) if shards.are_divided else everywhere
    bounds = PolicyReader(client, clock, settings.namespace)
    base = _Base(
        client=client,
        converge=converge,
        clock=clock,
        settings=settings,
        metrics=metrics,
        events=events,
        lists=lists,
        everywhere=everywhere,
        shards=shards,
        fair_queue=FairQueue(
            Capacity(max(1, round(settings.pending_pods * shards.share)), builder_settings.placement(settings))
        ),
        callers=CallerSecrets(client, metrics.count_unreadable),
        providers=ProviderDirectory(client),
        policies=NetworkPolicies(client, converge, builder_settings.egress(settings), others),
        api_keys=poll(POLLS_PER_SECOND, one_by_one=False),
        skills=poll(POLLS_PER_SECOND, one_by_one=True),
        others=others,
        hostnames=poll(OTHER_POLLS_PER_SECOND, one_by_one=False),
        claims=asyncio.Lock(),
        bounds=bounds,
        policy_objects=PolicyReconciler(
            client=client,
            clock=clock,
            events=events,
            namespace=settings.namespace,
            lists=everywhere,
            reader=bounds,
            are_divided=shards.are_divided,
        ),
    )
    namespace = settings.namespace
    trials = ProviderTrials(verify, Pace(TRIALS_PER_SECOND, now=clock.monotonic, sleep=sleep), clock.monotonic)
    pools = _pools(base)
    runs = _runs(base, pools)
    dispatcher = Dispatcher(
        client=client,
        metrics=base.metrics,
        events=base.events,
        repairs=repairs,
        unreadable_objects=UnreadableObjects(client, clock),
        instances=_instances(base, runs, pools),
        runs=runs,
        servers=_servers(base),
        skill_packs=SkillPackReconciler(client=client, namespace=namespace, lists=base.lists, has_home=shards.has_home),
        configs=_configs(base),
        pools=pools,
        providers=ProviderReconciler(
            client=client,
            clock=clock,
            directory=base.providers,
            trials=trials,
            poll=base.api_keys,
            interval=settings.provider_check_interval,
        ),
        tools=ToolReconciler(
            client=client,
            converge=converge,
            clock=clock,
            namespace=namespace,
            guard_url=settings.egress_url,
            policies=bounds,
        ),
        policies=base.policy_objects,
    )
    pruner = RunPruner(
        client=client,
        clock=clock,
        metrics=base.metrics,
        lists=base.lists,
        events=base.events,
        retention=settings.retention,
        has_archive=settings.has_archive,
        count_unreadable=metrics.count_unreadable,
    )
    console_secrets = ConsoleSecrets(
        client,
        namespace,
        token=settings.console_token_secret,
        keys=settings.console_keys_secret,
        platform=settings.platform_secret,
    )
    credentials = UnnamedCredentials(
        client=client, clock=clock, lists=base.lists, count_unreadable=metrics.count_unreadable
    )
    return Operator(
        dispatcher=dispatcher,
        fair_queue=base.fair_queue,
        metrics=metrics,
        api_keys=base.api_keys,
        skills=base.skills,
        others=base.others,
        hostnames=base.hostnames,
        pruner=pruner,
        console_secrets=console_secrets,
        credentials=credentials,
        trials=trials,
        lists=base.lists,
        shards=shards,
    )


def _configs(base: _Base) -> ConfigReconciler:
    return ConfigReconciler(
        client=base.client,
        converge=base.converge,
        clock=base.clock,
        events=base.events,
        namespace=base.settings.namespace,
        lists=base.lists,
        routes=SurfaceRoutes(
            client=base.client,
            converge=base.converge,
            lists=base.everywhere,
            surfaces=base.settings.surfaces,
            claims=base.claims,
        ),
        has_home=base.shards.has_home,
    )


def _pools(base: _Base) -> PoolReconciler:
    return PoolReconciler(
        client=base.client,
        clock=base.clock,
        metrics=base.metrics,
        events=base.events,
        agent=builder_settings.agent_pod(base.settings),
        providers=base.providers,
        launch_rate=LaunchRate(base.settings.refill_rate * base.shards.share),
        start_limit=StartLimit(FIRST_REFILL * base.settings.refill_rate * base.shards.share),
        is_full=base.fair_queue.capacity.is_short_for,
        start_timeout=base.settings.start_timeout,
    )


def _runs(base: _Base, pools: PoolReconciler) -> RunReconciler:
    limits = builder_settings.run_limits(base.settings)
    agent = builder_settings.agent_pod(base.settings)
    return RunReconciler(
        client=base.client,
        clock=base.clock,
        fair_queue=base.fair_queue,
        metrics=base.metrics,
        events=base.events,
        agent=agent,
        limits=limits,
        pools=pools,
        gatherer=RunGatherer(
            client=base.client,
            clock=base.clock,
            fair_queue=base.fair_queue,
            agent=agent,
            limits=limits,
            pools=pools,
            callers=base.callers,
            models=RunModelGatherer(base.callers, base.providers),
            bounds=base.bounds,
        ),
    )


def _instances(base: _Base, runs: RunReconciler, pools: PoolReconciler) -> InstanceReconciler:
    namespace = base.settings.namespace
    return InstanceReconciler(
        client=base.client,
        converge=base.converge,
        clock=base.clock,
        events=base.events,
        namespace=namespace,
        policies=base.policies,
        routes=RouteReconciler(
            client=base.client,
            converge=base.converge,
            namespace=namespace,
            lists=base.everywhere,
            hostnames=base.hostnames,
            claims=base.claims,
            are_divided=base.shards.are_divided,
            reserved=frozenset(surface.hostname for surface in base.settings.surfaces),
        ),
        tools=ToolGatherer(base.client, base.settings.egress_url),
        providers=base.providers,
        skills=SkillGatherer(base.client, base.converge, namespace, base.skills),
        pools=pools,
        callers=base.callers,
        bounds=base.bounds,
        policy_objects=base.policy_objects,
        metrics=base.metrics,
        agent_image=base.settings.agent_image,
        poll=base.others,
        next_runs=runs.next_runs,
        forget=base.fair_queue.forget_instance,
    )


def _servers(base: _Base) -> ServerRunReconciler:
    return ServerRunReconciler(
        client=base.client,
        converge=base.converge,
        clock=base.clock,
        events=base.events,
        namespace=base.settings.namespace,
        pull_policy=base.settings.image_pull_policy,
        callers=base.callers,
        providers=base.providers,
        keys=ApiKeySecrets(base.client, base.converge, base.events, base.api_keys),
        session_keys=SessionKeys(base.client, base.converge, base.others),
        policies=base.policies,
        template=base.settings.web_proxy_pod,
        queue_timeout=base.settings.queue_timeout,
        key_retention=base.settings.retention.key,
        tracing=builder_settings.trace_export(base.settings),
        metrics_on_http=base.settings.metrics_on_http,
    )
