"""Reconciler of warm pools: idle Jobs of an instance are made at a bounded rate, and deleted when they have ended.

An idle pod is never stopped while it might get a run: the web-proxy at which it waits dismisses it, and the pod ends by itself.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from sympozium_api import effective
from sympozium_api.base import seconds
from sympozium_api.client import ApiError, Client
from sympozium_api.client.collection import Reading
from sympozium_api.client.pages import bounded_pages
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance, WarmPool
from sympozium_api.reading import read
from sympozium_api.resources import INSTANCES, JOBS, PODS, RUNS, SECRETS, Object, created_at
from sympozium_api.run import AgentRun
from sympozium_api.run_selection import NOT_ENDED
from sympozium_operator.cluster.converge import delete
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.desired import agent_job as desired_job
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.policy import event_messages
from sympozium_operator.policy import pod_status as pod_policy
from sympozium_operator.policy import pool_plan as policy
from sympozium_operator.policy.job_ownership import is_of_pool
from sympozium_operator.policy.provider_resolution import PLAIN, InstanceModels
from sympozium_operator.reconcile.provider_directory import ProviderDirectory
from sympozium_operator.result import DONE, Key, Result
from sympozium_operator.scheduling.capacity import RunKey
from sympozium_operator.scheduling.pod_supply import PodSupply, stuck_after
from sympozium_operator.scheduling.pool_sizer import FIRST_REFILL, RECONCILE_INTERVAL, LaunchRate, PoolSizer
from sympozium_operator.scheduling.start_limit import StartLimit

_PAGE = 50
"""Jobs that are read at once."""
SHOW_AFTER = 10.0
"""Seconds for which the number of idle pods must differ from the status before it is written, because each run changes the number
for as long as a refill takes.
"""


@dataclass(kw_only=True)
class PoolReconciler:
    """Reconciles the warm pools of instances."""

    client: Client
    clock: Clock
    metrics: OperatorMetrics
    events: EventRecorder
    agent: desired_job.AgentPod
    providers: ProviderDirectory
    launch_rate: LaunchRate
    start_limit: StartLimit
    is_full: Callable[[tuple[str, str]], bool]
    """Callable that returns whether another pod of an instance would have to wait for room."""
    start_timeout: int
    token: Callable[[], str] = lambda: secrets.token_hex(3)
    _demands: dict[tuple[str, str], PoolSizer] = field(default_factory=dict)
    """Demand of each instance that has a pool."""
    _claimed: dict[tuple[str, str], dict[str, tuple[str, str]]] = field(default_factory=lambda: defaultdict(dict))
    """Jobs, by namespace and name, that open runs claim; and ``claim_order`` of those runs, by name."""
    _supplies: dict[tuple[str, str], PodSupply] = field(default_factory=lambda: defaultdict(PodSupply))
    """Pods and waiting runs of each instance that has a pool, or runs that wait."""
    _created_at: dict[tuple[str, str], tuple[tuple[str, str], float]] = field(default_factory=dict)
    """Pools and times of the Jobs that were made here and whose pods are not ready yet."""
    _idle: dict[tuple[str, str], int] = field(default_factory=dict)
    _reconciled_at: dict[tuple[str, str], float] = field(default_factory=dict)
    _differs_since: dict[tuple[str, str], float] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> Result:
        """Reconcile an instance's pool."""
        pool_key = (key.namespace, key.name)
        if (
            early := self._reconciled_at.get(pool_key, float("-inf")) + RECONCILE_INTERVAL - self.clock.monotonic()
        ) > 0:
            return Result(requeue_after=early)
        self._reconciled_at[pool_key] = self.clock.monotonic()
        raw = await self.client.find(INSTANCES, *pool_key)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            self.forget(*pool_key)
            return DONE  # Kubernetes deletes what it owns
        instance = read(SympoziumInstance, raw)
        jobs = await self._jobs(instance)
        pool, wanted = effective.warm_pool(instance), instance.status.warm_pool
        if pool is None and not jobs:
            self.forget(*pool_key)
            return DONE
        demand, now = self._demands.setdefault(pool_key, PoolSizer()), self.clock.monotonic()
        self._measure(pool_key, jobs, demand)
        facts = policy.PoolInput(
            now=self.clock.now(),
            jobs=tuple(jobs),
            claimed=frozenset(name for namespace, name in self._claimed if namespace == key.namespace),
            generation=wanted.generation if wanted else "",
            target=demand.target(pool, now) if pool and wanted else 0,
            starting=self.start_limit.room(self._count_elsewhere(pool_key, now), now),
            waiting=self._supplies[pool_key].waiting,
        )
        plan = policy.decide(facts)
        self._supplies[pool_key].update(*policy.supply(plan, facts.now), now)
        claimants = [await self._clean_up(job, demand) for job in plan.ended]
        for job in plan.unstarted:
            await self._inspect(job, demand)
        delay = await self._refill(instance, pool, plan.missing, demand) if pool and wanted else None
        if plan.is_held_up:
            delay = min(delay or FIRST_REFILL, FIRST_REFILL)  # no event tells this pool that others' pods have started
        return self._shown(pool_key, instance, plan.idle, delay, enqueue=tuple(filter(None, claimants)))

    async def _jobs(self, instance: SympoziumInstance) -> list[Object]:
        """Read the pool's Jobs, in pages and without their templates: 500 whole Jobs take 15 MB once they are parsed."""
        selector = policy.idle_selector(instance.metadata.name)
        pages = bounded_pages(
            self.client, JOBS, instance.metadata.namespace, Reading(), limit=_PAGE, labelSelector=selector
        )
        listed = [policy.outline(job) async for page in pages for job in page.items]
        return [
            job for job in listed if is_of_pool(job, instance.metadata.name, instance.metadata.uid)
        ]  # anybody may label

    def status(
        self, instance: SympoziumInstance, secret: Object | None, models: InstanceModels = PLAIN
    ) -> Object | None:
        """Return the instance's ``status.warmPool``; None if it has none. It is written before any pod is made."""
        pool = effective.warm_pool(instance)
        if pool is None:
            self._demands.pop(instance.key, None)
            return None
        self._demands.setdefault(instance.key, PoolSizer())
        generation = desired_job.generation(instance, self.agent, _made_from(pool, secret, models))
        return {"generation": generation, "idle": self._idle.get(instance.key, 0)}

    def arrived(self, run: AgentRun) -> None:
        """Record a run that is seen for the first time, if its instance has a pool."""
        if demand := self._demands.get((run.metadata.namespace, run.spec.agent_ref)):
            demand.arrived(self.clock.monotonic())

    def count_arrivals(self) -> int:
        """Return the number of arrivals that are remembered, for all pools."""
        return sum(demand.arrivals for demand in self._demands.values())

    def begin_cold(self, run: RunKey) -> None:
        """Record a Job that was made for a run."""
        now = self.clock.monotonic()
        self.launch_rate.started_cold(now)
        self.start_limit.begin_cold(run, now)

    def end_cold(self, run: RunKey) -> None:
        """Record that the pod of a run that started cold works, or is gone."""
        self.start_limit.end_cold(run)

    def expected_in(self, run: AgentRun, *, with_ready: bool) -> float | None:
        """Return the seconds until an idle pod is expected for a run; None: a cold start is sooner, or the instance has no pool."""
        demand, supply = self._demands.get(_pool_of(run)), self._supplies.get(_pool_of(run))
        if demand is None or supply is None:
            return None
        now = self.clock.monotonic()
        return supply.expected_in(_order(run), now, usual=demand.usual, with_ready=with_ready)

    def wait(self, run: AgentRun) -> bool:
        """Let a run wait for an idle pod; return whether it did not wait before."""
        return self._supplies[_pool_of(run)].wait(run.metadata.name, _order(run))

    def stop_waiting(self, run: AgentRun) -> None:
        """Forget that a run waits for an idle pod."""
        if supply := self._supplies.get(_pool_of(run)):
            supply.stop_waiting(run.metadata.name)

    def claim(self, run: AgentRun) -> bool:
        """Record the Job that a run claims, until it is gone; return whether the claim is new."""
        job_key = (run.metadata.namespace, run.job_name)
        known = job_key in self._claimed
        if supply := self._supplies.get(_pool_of(run)):
            supply.claim(run.job_name)
        self._claimed[job_key][run.metadata.name] = run.claim_order
        return not known

    async def is_outranked(self, run: AgentRun) -> bool:
        """Return whether another run was the first to claim the Job that this run claims.

        Runs that name the Job in their spec are read, also those that have ended. This process knows those that were bound later.
        """
        selector = f"spec.claim.jobName={run.job_name}"
        named = await self.client.metadata(RUNS, run.metadata.namespace, fieldSelector=selector)
        orders = [(item["metadata"]["creationTimestamp"], item["metadata"]["uid"]) for item in named]
        known = self._claimed.get((run.metadata.namespace, run.job_name), {})
        return min([*orders, *known.values(), run.claim_order]) != run.claim_order

    def release(self, namespace: str, run: str) -> None:
        """Forget the claim of a run: its Job is gone or its own, or it starts cold."""
        for job_key in [key for key, runs in self._claimed.items() if key[0] == namespace and run in runs]:
            del self._claimed[job_key][run]
            if not self._claimed[job_key]:
                del self._claimed[job_key]

    def forget_run(self, namespace: str, run: str) -> None:
        """Forget a run that does not exist any more."""
        self.release(namespace, run)
        for supply in [supply for pool_key, supply in self._supplies.items() if pool_key[0] == namespace]:
            supply.stop_waiting(run)

    def forget(self, namespace: str, name: str) -> None:
        """Forget the pool of an instance that is gone, or has none any more."""
        pool_key = (namespace, name)
        for known in (self._demands, self._supplies, self._idle, self._reconciled_at, self._differs_since):
            known.pop(pool_key, None)
        for job_key in [job_key for job_key, (pool, _) in self._created_at.items() if pool == pool_key]:
            del self._created_at[job_key]
        self._count()

    def _count_elsewhere(self, pool_key: tuple[str, str], now: float) -> int:
        """Return the number of pods of other pools that start. One that is stuck keeps no node busy."""
        ages = [(pool, now - made) for pool, made in self._created_at.values() if pool != pool_key]
        return sum(age < stuck_after(self._demands[pool].usual if pool in self._demands else 0) for pool, age in ages)

    def _measure(self, pool_key: tuple[str, str], jobs: list[Object], demand: PoolSizer) -> None:
        """Measure the refill of pods that became ready since the last reconcile, and forget those that are gone."""
        now, existing = self.clock.monotonic(), {(pool_key[0], job["metadata"]["name"]): job for job in jobs}
        for made in [made for made, (pool, _) in self._created_at.items() if pool == pool_key]:
            job, starting = existing.get(made), len(self._created_at) + self.start_limit.cold(now)
            if job is not None and not policy.has_started(job):
                continue
            took = now - self._created_at.pop(made)[1]
            if job is not None and not policy.has_failed(job):
                demand.refilled(took)
                self.start_limit.measure(took, starting)
                self.metrics.refill.observe(took)

    async def _clean_up(self, job: Object, demand: PoolSizer) -> Key | None:
        """Delete a Job that ended, unless an open run claims it: then return that run, which reports how its pod ended."""
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        selector = f"spec.claim.jobName={name},{NOT_ENDED}"
        if claimed_by := await self.client.metadata(RUNS, namespace, fieldSelector=selector):
            return Key("run", namespace, claimed_by[0]["metadata"]["name"])
        if policy.has_failed(job):
            demand.failed(self.clock.monotonic())
        await self._delete(job)
        return None

    async def _inspect(self, job: Object, demand: PoolSizer) -> None:
        """Delete a Job whose pod finds no room or does not start: it cannot have got a run."""
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        pods = await self.client.list(PODS, namespace, labelSelector=f"batch.kubernetes.io/job-name={name}")
        pod = pod_policy.job_pod(pods, job)
        if pod is not None and pod_policy.started_at(pod) is not None:
            return
        too_old = (self.clock.now() - created_at(job)).total_seconds() >= self.start_timeout
        if too_old or (pod is not None and pod_policy.is_unschedulable(pod)):
            demand.failed(self.clock.monotonic())
            await self._delete(job)

    async def _delete(self, job: Object) -> None:
        metadata = job["metadata"]
        self._created_at.pop((metadata["namespace"], metadata["name"]), None)
        await delete(self.client, JOBS, job)

    async def _refill(
        self, instance: SympoziumInstance, pool: WarmPool, missing: int, demand: PoolSizer
    ) -> float | None:
        """Make the missing Jobs as fast as the launch rate allows; return the seconds until the next, None if none is missing."""
        if not missing:
            return None
        models = await self.providers.of_instance(instance)
        made_from = _made_from(pool, await self._secret(instance), models)
        shown = instance.status.warm_pool
        if shown is None or shown.generation != desired_job.generation(instance, self.agent, made_from):
            return None  # a web-proxy would dismiss its pods at once; the instance's next reconcile writes the new generation
        for _ in range(missing):
            now = self.clock.monotonic()
            if self.is_full(instance.key):
                return FIRST_REFILL
            if delay := max(demand.not_before - now, 0) or self.launch_rate.take(now):
                return delay
            body = desired_job.build_idle(instance, self.agent, made_from, self.token())
            try:
                await self.client.create(JOBS, instance.metadata.namespace, body)
            except ApiError as refusal:
                if not refusal.final:
                    raise
                demand.failed(now)
                await self.events.emit(instance, event_messages.write_refused(refusal.message))
                return max(demand.not_before - now, FIRST_REFILL)
            name = body["metadata"]["name"]
            self._created_at[instance.metadata.namespace, name] = instance.key, now
            self._supplies[instance.key].make(name, now)
        return None

    async def _secret(self, instance: SympoziumInstance) -> Object | None:
        name = effective.model(instance).secret
        return await self.client.find(SECRETS, instance.metadata.namespace, name) if name else None

    def _shown(
        self,
        pool_key: tuple[str, str],
        instance: SympoziumInstance,
        idle: int,
        delay: float | None,
        *,
        enqueue: tuple[Key, ...],
    ) -> Result:
        """Return the result: the instance shows the number of idle pods once it has differed for long enough."""
        self._idle[pool_key] = idle
        self._count()
        shown = instance.status.warm_pool
        if shown is None or shown.idle == idle:
            self._differs_since.pop(pool_key, None)
            return Result(requeue_after=delay, enqueue=enqueue)
        left = self._differs_since.setdefault(pool_key, self.clock.monotonic()) + SHOW_AFTER - self.clock.monotonic()
        if left > 0:
            return Result(requeue_after=min(left, delay or left), enqueue=enqueue)
        del self._differs_since[pool_key]
        return Result(requeue_after=delay, enqueue=(*enqueue, Key("instance", *pool_key)))

    def _count(self) -> None:
        self.metrics.idle.set(sum(self._idle.values()))


def _pool_of(run: AgentRun) -> tuple[str, str]:
    return run.metadata.namespace, run.spec.agent_ref


def _order(run: AgentRun) -> tuple[str, str]:
    """Return the order of a run among those that wait for an idle pod."""
    return run.accepted_at, run.metadata.name


def _made_from(pool: WarmPool, secret: Object | None, models: InstanceModels) -> desired_job.IdlePodInput:
    version = secret["metadata"]["resourceVersion"] if secret else ""
    return desired_job.IdlePodInput(seconds(pool.idle_ttl), version, models.models)
