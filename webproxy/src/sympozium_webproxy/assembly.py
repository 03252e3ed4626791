"""The assembly of one web-proxy. Only this module knows all parts."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette

from sympozium_api import environment, key_limits, names
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_api.web_endpoint import RateLimit
from sympozium_http.background_loop import keep_running
from sympozium_http.bearer_keys import BearerKeys
from sympozium_http.byte_budget import ByteBudget
from sympozium_http.tracing import Tracing
from sympozium_runs.agent_api import create_agent_api
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import RunBroker
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.rate_limits import Bucket, RateLimiter
from sympozium_runs.replica_usage import ReplicaUsage
from sympozium_runs.run_queue import RunQueues
from sympozium_runs.run_store import RunStore
from sympozium_runs.run_watch import RunWatch
from sympozium_runs.runs import Runs
from sympozium_webproxy.app import create_app
from sympozium_webproxy.budgets.key_limit_files import KeyLimitFiles
from sympozium_webproxy.budgets.token_budgets import TokenBudgets
from sympozium_webproxy.budgets.usage_reports import UsageReports
from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.identity.access_tokens import AccessTokens
from sympozium_webproxy.instance_cache import InstanceCache, watch_instance, watch_skills
from sympozium_webproxy.probing.prober import Prober
from sympozium_webproxy.settings import WebProxySettings
from sympozium_webproxy.storage import Storage


@dataclass(frozen=True)
class WebProxy:
    """One web-proxy: the applications that a process serves, and the coroutines that it runs beside them."""

    context: WebProxyContext
    app: FastAPI
    """Port 8080."""
    agent_api: Starlette
    """Port 8081."""
    idle: IdlePods
    """Idle pods that wait at this replica."""
    usage_reports: UsageReports
    watches: tuple[Callable[[], Coroutine[Any, Any, None]], ...]
    """Watches of the API server, without end."""


@dataclass(frozen=True)
class _RunParts:
    """The parts that follow runs: both ports stand on them."""

    store: RunStore
    broker: RunBroker
    idle: IdlePods
    queues: RunQueues
    runs: Runs
    instance_cache: InstanceCache
    key_limits: KeyLimitFiles
    budgets: TokenBudgets
    agent_api_metrics: AgentApiMetrics
    failing_watches: set[str]
    """Names of the watches that have failed and shown nothing since."""
    storage: Storage

    def on_server_run(self, run: AgentRun) -> None:
        """Take a state of the instance's server run."""
        self.budgets.on_server_run(run)
        self.storage.on_server_run(run)


def assemble(client: Client, settings: WebProxySettings, clock: Clock, tracing: Tracing | None = None) -> WebProxy:
    """Return a web-proxy of the instance that the settings name."""
    tracing = tracing or Tracing()
    keys = BearerKeys(settings.api_keys, prefix=environment.API_KEY_PREFIX, clock=clock.monotonic)
    limiter, budget = RateLimiter(clock=clock.monotonic), ByteBudget(settings.max_held_bytes)
    parts = _run_parts(client, settings, clock, keys, budget)
    run_watch = _run_watch(client, settings, clock, parts, limiter)
    context = WebProxyContext(
        settings=settings,
        instance_cache=parts.instance_cache,
        runs=parts.runs,
        documents=parts.store.documents,
        keys=keys,
        key_limits=parts.key_limits,
        budgets=parts.budgets,
        tokens=AccessTokens(clock=clock.monotonic),
        limiter=limiter,
        read_limiter=RateLimiter(clock=clock.monotonic),
        clock=clock,
        open_runs=lambda: len(parts.queues),
        runs_known=lambda: run_watch.synced,
        failing_watches=parts.failing_watches,
        api_answers=client.answers,
        budget=budget,
        storage=parts.storage,
        tracing=tracing,
    )
    context.metrics.bind(
        open_runs=context.open_runs,
        waiting=parts.broker.count_waiting,
        budget=budget,
        others=parts.agent_api_metrics.registry,
    )
    context.metrics.keys.bind(
        lambda: {key_id: key_limits.display_name(key_id, parts.key_limits.of(key_id)) for key_id in keys.ids},
        parts.budgets.usage,
    )
    usage_reports = UsageReports(client, settings.namespace, settings.instance, parts.budgets)
    return WebProxy(
        context=context,
        app=create_app(context),
        agent_api=_agent_api(client, settings, clock, parts, tracing),
        idle=parts.idle,
        usage_reports=usage_reports,
        watches=_watches(client, settings, parts, run_watch, usage_reports),
    )


def _run_parts(
    client: Client, settings: WebProxySettings, clock: Clock, keys: BearerKeys, budget: ByteBudget
) -> _RunParts:
    limit_files = KeyLimitFiles(settings.api_keys, clock=clock.monotonic)
    budgets = TokenBudgets(limit_files.budgets, clock.now)
    metrics = AgentApiMetrics(lambda: {*keys.ids, names.OAUTH_CALLERS}, budgets.count)
    store, broker, idle = RunStore(client, clock), RunBroker(budget), IdlePods(settings.reply_to, metrics)
    instance_cache = InstanceCache(idle.on_instance_change)
    queues = RunQueues(shared=lambda _: len(keys.ids) > 1 or instance_cache.oauth() is not None)
    runs = Runs(store, broker, queues, clock, idle=idle, metrics=metrics, key_grace_seconds=settings.key_grace_seconds)
    return _RunParts(store, broker, idle, queues, runs, instance_cache, limit_files, budgets, metrics, set(), Storage())


def _run_watch(
    client: Client, settings: WebProxySettings, clock: Clock, parts: _RunParts, limiter: RateLimiter
) -> RunWatch:
    def limit(key: Bucket) -> RateLimit:
        return parts.key_limits.of(key[2]).rate_limit(parts.instance_cache.rate_limit)

    usage = ReplicaUsage(limiter, limit, clock, settings.reply_to)
    return RunWatch(
        client,
        settings.namespace,
        settings.instance,
        store=parts.store,
        broker=parts.broker,
        runs=parts.runs,
        queues=parts.queues,
        unreadable=parts.agent_api_metrics.unreadable,
        on_event=partial(parts.failing_watches.discard, "runs"),
        on_new_run=usage.charge,
        on_server_run=parts.on_server_run,
    )


def _agent_api(
    client: Client, settings: WebProxySettings, clock: Clock, parts: _RunParts, tracing: Tracing
) -> Starlette:
    async def instance(namespace: str, name: str) -> SympoziumInstance:
        """Return the instance of a pod's task, from the cache if it is this web-proxy's own."""
        is_own = (namespace, name) == settings.instance_key
        return (parts.instance_cache.instance if is_own else None) or await parts.store.instance(namespace, name)

    return create_agent_api(
        parts.store,
        parts.broker,
        PodTokens(client),
        clock,
        instance=instance,
        metrics=parts.agent_api_metrics,
        tracing=tracing,
        idle=parts.idle,
        store_wait_seconds=settings.store_wait_seconds,
    )


def _watches(
    client: Client, settings: WebProxySettings, parts: _RunParts, run_watch: RunWatch, usage_reports: UsageReports
) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
    cache, metrics = parts.instance_cache, parts.agent_api_metrics
    name = settings.instance_key

    async def watch_runs() -> None:
        await cache.loaded.wait()  # because a run is charged by the instance's rate limit
        await run_watch.run()

    prober = Prober(client, *name, cache, interval_seconds=settings.probe_interval_seconds)
    cache.on_change.append(prober.on_instance_change)

    def seen(loop: str) -> Callable[[], None]:
        return partial(parts.failing_watches.discard, loop)

    loops = {
        "instance": lambda: watch_instance(client, *name, cache, metrics.unreadable, on_event=seen("instance")),
        "skills": lambda: watch_skills(client, *name, cache, metrics.unreadable, on_event=seen("skills")),
        "runs": watch_runs,
        **({"probes": prober.run} if settings.probe_interval_seconds else {}),
        "usage": usage_reports.run,
    }

    def on_failure(loop: str) -> None:
        parts.failing_watches.add(loop)
        metrics.loop_failures.labels(loop).inc()

    return tuple(
        partial(keep_running, loop, work, on_failure=partial(on_failure, loop)) for loop, work in loops.items()
    )
