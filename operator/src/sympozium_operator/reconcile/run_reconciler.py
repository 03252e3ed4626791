"""Reconciler of AgentRuns in mode task: gather, decide, act. Only here are Jobs of runs made."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog

from sympozium_api import logs, names
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.reading import read
from sympozium_api.resources import JOBS, RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import delete
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.desired import agent_job
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.policy import (
    event_messages,
    quota_denial,
    run_action,
    run_decision,
    run_end,
    run_start,
)
from sympozium_operator.policy.run_input import RunInput, RunLimits
from sympozium_operator.reconcile.pool_reconciler import PoolReconciler
from sympozium_operator.reconcile.run_gatherer import RunGatherer, run_key
from sympozium_operator.result import DONE, Key, Result, RetryLater
from sympozium_operator.scheduling.capacity import RunKey
from sympozium_operator.scheduling.fair_queue import FairQueue

READ_AGAIN = Result(requeue_after=0.05)
"""Somebody else changed the run or its Job since they were read: read both and decide again."""

REFUSED_AGAIN = 5.0
"""Seconds between attempts to make a Job that the API server refuses for good, or for which a quota has no room."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class RunReconciler:
    """Reconciles runs in mode task.

    The decision is pure. The fair queue learns a fact in the moment in which it is found or made, and never later: between a
    pod that waits for room, or a Job that exists, and the queue's knowledge of it there is no await, or other runs would start.
    """

    client: Client
    clock: Clock
    fair_queue: FairQueue
    metrics: OperatorMetrics
    events: EventRecorder
    agent: agent_job.AgentPod
    limits: RunLimits
    pools: PoolReconciler
    gatherer: RunGatherer

    async def reconcile(self, run: AgentRun) -> Result:
        """Reconcile a run that was just read."""
        claims = self._announce(run)
        if run.ended or run.status.phase == "Running":
            self.pools.end_cold(run_key(run))
        if run.ended or run.claimed_pod or run.status.start:
            self.pools.stop_waiting(run)
        facts = await self.gatherer.gather(run)
        decision = run_decision.decide(facts)
        if run_decision.uses_claim(facts, decision):
            decision = run_decision.decide(await self.gatherer.verify_claim(facts))
        result = await self._act(facts, decision)
        if run.ended:
            result = await self._release(facts, result)
        if run.claimed_pod is None or (run.ended and result.requeue_after is None):
            self.pools.release(*run.key)
        if self.fair_queue.capacity.take_freed():
            return replace(result, enqueue=_keys(self.fair_queue.next_of_all()))
        return replace(result, enqueue=(*result.enqueue, Key("pool", *run.instance_key))) if claims else result

    def gone(self, key: Key) -> Result:
        """Release the slot of a run that does not exist any more."""
        self.pools.forget_run(key.namespace, key.name)
        released = self.fair_queue.release_named(key.namespace, key.name)
        return Result(enqueue=_keys(self.fair_queue.next_of_all())) if released else DONE

    def next_runs(self, instance: tuple[str, str]) -> tuple[Key, ...]:
        """Return the runs of an instance whose turn has come."""
        return _keys(self.fair_queue.next(instance))

    # Scheduling.

    def _announce(self, run: AgentRun) -> bool:
        """Enqueue the run, and record the Job that it claims; return whether the claim is new."""
        if not run.ended:
            key_id = run.metadata.annotations.get(names.ANNOTATION_KEY_ID, "")
            if self.fair_queue.enqueue(run_key(run), run.instance_key, run.accepted_at, key_id=key_id):
                self.pools.arrived(run)
        return run.claimed_pod is not None and self.pools.claim(run)

    async def _release(self, facts: RunInput, result: Result) -> Result:
        """Release an ended run's slot; on the first call, record metrics and emit its Event."""
        run = facts.run
        if not self.fair_queue.release(run_key(run)):
            return result
        self.metrics.ended(run, facts.job)
        error = run.status.error
        log.info("run ended", **logs.run_fields(run), phase=run.status.phase, error=error.type if error else None)
        if message := event_messages.of_run(run):
            await self.events.emit(run, message)
        return replace(result, enqueue=_keys(self.fair_queue.next_of_all()))

    # Act.

    async def _act(self, facts: RunInput, decision: run_action.Decision) -> Result:  # noqa: C901, PLR0911 - one case per decision
        match decision:
            case run_action.Start():
                return await self._start(facts.run, decision)
            case run_action.Queue() | run_action.Report():
                if decision.status and not await self._write(facts.run, decision.status):
                    return READ_AGAIN
                for message in event_messages.of_waiting_run(facts.run, decision.status or {}):
                    await self.events.emit(facts.run, message)
                if facts.slot.position is not None:
                    self.fair_queue.mark_shown(run_key(facts.run), facts.now.timestamp())
                return Result(requeue_after=decision.requeue_after)
            case run_action.End():
                return await self._end(facts, decision)
            case run_action.DeleteJob():
                await delete(self.client, JOBS, _job(facts))
                return Result()
            case run_action.Adopt():
                return await self._adopt(facts, decision)
            case run_action.Restart():
                return await self._restart(facts)
            case run_action.Offer():
                self.fair_queue.mark_offered(run_key(facts.run))
                is_new = decision.waits and self.pools.wait(facts.run)
                pool = (Key("pool", *facts.run.instance_key),) if is_new else ()
                return Result(requeue_after=decision.requeue_after, enqueue=pool)
            case run_action.Wait():
                await self._report_waiting(facts)
                return Result(requeue_after=decision.requeue_after)

    async def _start(self, run: AgentRun, decision: run_action.Start) -> Result:
        self.pools.stop_waiting(run)
        self.fair_queue.admit(run_key(run))  # before the first await: no other run may find the place free
        body = agent_job.build(
            run,
            decision.instance,
            self.agent,
            served=decision.served,
            deadline=decision.deadline,
            models=decision.models,
        )
        if decision.status and not await self._write(run, decision.status):
            return READ_AGAIN
        try:
            await self.client.create(JOBS, run.metadata.namespace, body)
        except ApiError as error:
            if error.already_exists:
                return READ_AGAIN  # the previous leader made it: the next reconcile checks its owner
            if not error.final:
                raise
            return await self._refused(run, error)
        self.fair_queue.bind_job(run_key(run), run.job_name)
        self.metrics.started(run, self.clock.now())
        self.pools.begin_cold(run_key(run))
        return Result(requeue_after=run_decision.INSPECT_AFTER)

    async def _refused(self, run: AgentRun, error: ApiError) -> Result:
        """Let a run whose Job is refused for good wait for its namespace's quota, or for another attempt, or fail."""
        key, now = run_key(run), self.clock.now().timestamp()
        waited = self.fair_queue.refuse_job(key, now)
        may_fit = error.quota_exceeded and quota_denial.can_ever_fit(error.message)
        if may_fit and self.fair_queue.quota_may_free(key, now):
            self.fair_queue.exceeds_quota(key)
        elif failure := run_start.refused_job(error.message, forbidden=error.forbidden, waited=waited):
            return await self._end(RunInput(self.clock.now(), self.limits, run), run_action.End(failure.record()))
        if self.fair_queue.mark_reported(key):
            await self.events.emit(run, event_messages.write_refused(error.message))
        return Result(requeue_after=REFUSED_AGAIN)

    async def _report_waiting(self, facts: RunInput) -> None:
        """Emit an Event about a run that has waited for a node or its namespace's quota for some seconds, once."""
        if (reason := run_start.waiting_reason(facts)) and self.fair_queue.mark_reported(run_key(facts.run)):
            await self.events.emit(facts.run, event_messages.waiting(reason))

    async def _adopt(self, facts: RunInput, decision: run_action.Adopt) -> Result:
        """Make the claimed pod's Job the run's own: owned by the run, and found by its label."""
        metadata = _job(facts)["metadata"]
        patch = agent_job.adoption(facts.run, deadline=decision.deadline)
        patch["metadata"]["uid"] = metadata["uid"]
        await self.client.patch(JOBS, metadata["namespace"], metadata["name"], patch)
        return READ_AGAIN

    async def _restart(self, facts: RunInput) -> Result:
        """Delete the Job of the claimed pod, unless the run's end or start was written meanwhile; then the run starts cold."""
        if await self._write(facts.run, {"start": "cold"}):
            await delete(self.client, JOBS, _job(facts))
        return READ_AGAIN

    async def _end(self, facts: RunInput, decision: run_action.End) -> Result:
        run = facts.run
        if await self._has_ended(run):
            return READ_AGAIN
        status = run_end.status(facts, decision.record, decision.pod, self.clock.now())
        if not await self._write(run, status):
            return READ_AGAIN
        if facts.denial is not None:
            self.metrics.denied.labels(facts.denial.kind).inc()
        if decision.delete_job and facts.job is not None:
            await delete(self.client, JOBS, facts.job)
        return Result(requeue_after=0.5)  # if the event is missed, the next reconcile releases the slot and cleans up

    async def _write(self, run: AgentRun, status: Object) -> bool:
        """Write a status; return False if the run is gone, or its end or start was written since: then nothing was written."""
        try:
            await self.client.patch(RUNS, *run.key, {"status": status}, subresource="status")
        except ApiError as error:
            if error.not_found or (error.invalid and await self._has_moved_on(run)):
                return False
            raise
        return True

    async def _has_moved_on(self, run: AgentRun) -> bool:
        """Return whether somebody else ended the run, or wrote its start, since the run was read."""
        live = await self._live(run)
        return live is None or live.ended or live.status.start != run.status.start

    async def _has_ended(self, run: AgentRun) -> bool:
        live = await self._live(run)
        return live is None or live.ended

    async def _live(self, run: AgentRun) -> AgentRun | None:
        live = await self.client.find(RUNS, *run.key)
        return read(AgentRun, live) if live else None


def _keys(runs: Iterable[RunKey]) -> tuple[Key, ...]:
    return tuple(Key("run", namespace, name) for namespace, name, _ in runs)


def _job(facts: RunInput) -> Object:
    if facts.job is None:
        raise RetryLater("the decision is about a Job that was not found")
    return facts.job
