"""Gatherer of all that the decision about a run in mode task may look at."""

import asyncio
from dataclasses import dataclass, replace

from sympozium_api import effective
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy_reader import PolicyReader
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import INSTANCES, JOBS, PODS, SECRETS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.desired import agent_job
from sympozium_operator.policy import model_secret, pod_status, run_decision, run_policy, run_start
from sympozium_operator.policy.placement import placement
from sympozium_operator.policy.run_input import RunInput, RunLimits, RunSlot
from sympozium_operator.reconcile import start_evidence
from sympozium_operator.reconcile.caller_secrets import CallerSecrets
from sympozium_operator.reconcile.pool_reconciler import PoolReconciler
from sympozium_operator.reconcile.run_models import RunModelGatherer
from sympozium_operator.scheduling.capacity import RunKey
from sympozium_operator.scheduling.fair_queue import FairQueue


@dataclass(frozen=True, kw_only=True)
class RunGatherer:
    """Gathers the facts of a run, and tells the fair queue of each fact in the moment in which it is found."""

    client: Client
    clock: Clock
    fair_queue: FairQueue
    agent: agent_job.AgentPod
    limits: RunLimits
    pools: PoolReconciler
    callers: CallerSecrets
    models: RunModelGatherer
    bounds: PolicyReader

    async def gather(self, run: AgentRun) -> RunInput:
        """Read what the first decision about a run needs."""
        namespace, now = run.metadata.namespace, self.clock.now()
        if run.ended:
            job = await self.client.find(JOBS, namespace, run.job_name)
            return RunInput(now, self.limits, run, job=job)
        raw, job, policies = await asyncio.gather(
            self.client.find(INSTANCES, namespace, run.spec.agent_ref),
            self.client.find(JOBS, namespace, run.job_name),
            self.bounds.of(namespace),
        )
        instance, failure = _readable(raw)
        facts = RunInput(now, self.limits, run, instance, job=job, instance_failure=failure)
        facts = run_policy.bounded(facts, policies, self.agent.image)
        instance, run = facts.instance, facts.run
        if instance is not None:
            self.fair_queue.set_limit(run.instance_key, instance.spec.max_concurrent_runs)
        if job is not None:
            self.fair_queue.bind_job(run_key(run), job["metadata"]["name"])
            return await self._gather_pods(facts, job)
        if instance is not None:
            facts = run_policy.judged(await self.models.gather(await self._gather_secret(facts, instance), instance))
        # The slot is read last: between it and the decision nothing else may happen.
        return replace(facts, slot=self._slot(run, instance, now.timestamp()))

    async def verify_claim(self, facts: RunInput) -> RunInput:
        """Read what shows that the claimed Job is the run's: its instance, and the other runs that claim the Job."""
        raw, policies, outranked = await asyncio.gather(
            self.client.find(INSTANCES, facts.run.metadata.namespace, facts.run.spec.agent_ref),
            self.bounds.of(facts.run.metadata.namespace),
            self.pools.is_outranked(facts.run),
        )
        if raw is None:  # Kubernetes deletes the idle Jobs of an instance that is gone
            return replace(facts, outranked=True)
        instance, _ = _readable(raw)
        instance = run_policy.bounded(replace(facts, instance=instance), policies, self.agent.image).instance
        return replace(facts, instance=instance, instance_uid=raw["metadata"]["uid"], outranked=outranked)

    async def _gather_secret(self, facts: RunInput, instance: SympoziumInstance) -> RunInput:
        model = effective.model(instance, facts.run)
        if model.secret is None:
            return facts
        secret, callers = await asyncio.gather(
            self.client.find(SECRETS, facts.run.metadata.namespace, model.secret), self.callers.of_others(instance)
        )
        failure = model_secret.failure(model, secret)
        refusal = model_secret.refusal(instance, facts.run, secret, callers)
        return replace(facts, secret_failure=failure.message if failure else None, secret_refusal=refusal)

    async def _gather_pods(self, facts: RunInput, job: Object) -> RunInput:
        if not run_decision.should_inspect_pods(facts.run, job, facts.now):
            return facts
        namespace, capacity = facts.run.metadata.namespace, self.fair_queue.capacity
        capacity.inspects(run_key(facts.run))
        selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
        pods = tuple(await self.client.list(PODS, namespace, labelSelector=selector))
        pod = pod_status.job_pod(pods, job)
        facts = replace(facts, pods=pods)
        waits = run_start.waits_for_capacity(facts)
        if pod is not None and (waits or pod_status.placed_at(pod)):
            made_at = job["metadata"]["creationTimestamp"] if agent_job.has_placement_of(job, self.agent) else None
            self.fair_queue.inspected(run_key(facts.run), placement(pod["spec"]), waits=waits, made_at=made_at)
        elif pod is not None and pod_status.is_gated(pod):
            capacity.gated(run_key(facts.run))
        if waits and run_decision.may_be_too_large(job, facts.now, facts.limits):
            facts = replace(facts, nodes=await start_evidence.nodes(self.client))
        if run_decision.should_read_warnings(pod, job, facts.now, facts.limits):
            facts = replace(facts, warning=await start_evidence.warning(self.client, pod or job))
        return self._gather_quota(facts) if pod is None else facts

    def _gather_quota(self, facts: RunInput) -> RunInput:
        """Add whether a quota that denies the Job's pod may free up."""
        key = run_key(facts.run)
        facts = replace(facts, quota_may_free=self.fair_queue.quota_may_free(key, facts.now.timestamp()))
        if run_start.waits_for_quota(facts):
            self.fair_queue.exceeds_quota(key)
        return facts

    def _slot(self, run: AgentRun, instance: SympoziumInstance | None, now: float) -> RunSlot:
        slot = self.fair_queue.slot(
            run_key(run),
            job=run.job_name,
            limit=instance.spec.max_concurrent_runs if instance else 0,
            waited=now - run.metadata.created.timestamp(),
            now=now,
        )
        return replace(slot, idle_pod_in=self.pools.expected_in(run, with_ready=not slot.offered))


def run_key(run: AgentRun) -> RunKey:
    """Return the key of a run in the fair queue."""
    return (*run.key, run.metadata.uid)


def _readable(raw: Object | None) -> tuple[SympoziumInstance | None, str | None]:
    """Return the instance or, if it cannot be read, the reason: its runs still end by their timeout."""
    try:
        return (read(SympoziumInstance, raw) if raw else None), None
    except Unreadable as failure:
        return None, str(failure)
