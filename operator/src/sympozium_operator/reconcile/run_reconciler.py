"""AgentRuns in mode task: gather, decide, act. The only place that makes Jobs."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog

from sympozium_api import effective, logs, names, terminal_status
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import EVENTS, INSTANCES, JOBS, NODES, PODS, RUNS, SECRETS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.desired import agent_job as desired_job
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.policy import event_messages
from sympozium_operator.policy import pod_status as pod_policy
from sympozium_operator.policy import run_decision as policy
from sympozium_operator.policy.instance_plan import secret_trouble
from sympozium_operator.reconcile.pool_reconciler import PoolReconciler
from sympozium_operator.result import DONE, Key, Result, RetryLater
from sympozium_operator.scheduling.fair_queue import SHOW_AFTER, Admission, Run

log = structlog.get_logger()


@dataclass(frozen=True)
class RunReconciler:
    """Reconciles runs in mode task."""

    client: Client
    clock: Clock
    admission: Admission
    metrics: OperatorMetrics
    events: EventRecorder
    agent: desired_job.AgentPod
    limits: policy.RunLimits
    pools: PoolReconciler

    async def reconcile(self, run: AgentRun) -> Result:
        """One look at a run that was just read."""
        if not run.ended:
            key_id = run.metadata.annotations.get(names.ANNOTATION_KEY_ID, "")
            if self.admission.note(place(run), _instance(run), run.accepted_at, key_id=key_id):
                self.pools.arrived(run)
        claims = run.claimed_pod is not None and self.pools.claim(run)
        was_full = self.admission.full
        seen = await self._gather(run)
        outcome = await self._act(seen, policy.decide(seen))
        if run.claimed_pod is None or (run.ended and outcome.requeue_after is None):
            self.pools.release(*run.key)
        if was_full and not self.admission.full:
            return replace(outcome, enqueue=_keys(self.admission.turns()))
        return replace(outcome, enqueue=(*outcome.enqueue, Key("pool", *_instance(run)))) if claims else outcome

    async def _act(self, seen: policy.RunInput, decision: policy.Decision) -> Result:  # noqa: PLR0911 - one line per decision
        run = seen.run
        match decision:
            case policy.Start():
                return await self._start(seen, decision)
            case policy.End():
                return await self._end(seen, decision)
            case policy.Report():
                await self._write(run, decision.status)
                return Result(requeue_after=decision.requeue_after)
            case policy.DeleteJob():
                return await self._delete_job(seen)
            case policy.Offer():
                self.admission.offer(place(run))
                return Result(requeue_after=decision.requeue_after)
            case policy.Adopt():
                return await self._adopt(seen, decision)
            case policy.Restart():
                return await self._restart(seen)
            case policy.Wait():
                return await self._left(seen, decision.requeue_after)

    def gone(self, key: Key) -> Result:
        """A run that does not exist any more leaves its place."""
        self.pools.release(key.namespace, key.name)
        self.admission.release_named(key.namespace, key.name)
        return Result(enqueue=_keys(self.admission.turns()))

    def turns(self, instance: tuple[str, str]) -> tuple[Key, ...]:
        """The runs of an instance whose turn has come."""
        return _keys(self.admission.next(instance))

    # Gather.

    async def _gather(self, run: AgentRun) -> policy.RunInput:
        namespace = run.metadata.namespace
        job_name = run.job_name
        now = self.clock.now()
        if run.ended:
            job = await self.client.find(JOBS, namespace, job_name)
            return policy.RunInput(now, self.limits, run, job=job)
        raw, job = await asyncio.gather(
            self.client.find(INSTANCES, namespace, run.spec.agent_ref),
            self.client.find(JOBS, namespace, job_name),
        )
        instance = SympoziumInstance.model_validate(raw) if raw else None
        if job is not None:
            self.admission.start(place(run), job_name)
            return await self._gather_pods(policy.RunInput(now, self.limits, run, instance, job=job), job)
        return policy.RunInput(
            now=now,
            limits=self.limits,
            run=run,
            instance=instance,
            secret_trouble=await self._secret_trouble(run, instance) if instance else None,
            started=self.admission.started(place(run), job_name),
            offered=self.admission.offered(place(run)),
        )

    async def _secret_trouble(self, run: AgentRun, instance: SympoziumInstance) -> str | None:
        model = effective.model(instance, run)
        if model.secret is None:
            return None
        secret = await self.client.find(SECRETS, run.metadata.namespace, model.secret)
        found = secret_trouble(model.secret, model.provider, secret)
        return found.message if found else None

    async def _gather_pods(self, seen: policy.RunInput, job: Object) -> policy.RunInput:
        if not policy.should_inspect_pods(seen.run, job, seen.now):
            return seen
        namespace = seen.run.metadata.namespace
        selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
        found = await self.client.list(PODS, namespace, labelSelector=selector)
        pod = pod_policy.job_pod(found, job)
        unplaced = pod is not None and pod_policy.is_unschedulable(pod)
        self.admission.unplaced(place(seen.run), waits=unplaced)
        return policy.RunInput(
            now=seen.now,
            limits=seen.limits,
            run=seen.run,
            instance=seen.instance,
            job=job,
            pods=tuple(found),
            nodes=await self._nodes() if unplaced else (),
            warning=await self._warning(pod or job, namespace)
            if policy.should_read_warnings(pod, job, seen.now, seen.limits)
            else None,
        )

    async def _nodes(self) -> tuple[Object, ...]:
        """All nodes; none where they are not ours to see: then nobody can say that a pod will never fit (decision 0017)."""
        try:
            return tuple(await self.client.list(NODES, None))
        except ApiError as error:
            if error.forbidden:
                return ()
            raise

    async def _warning(self, about: Object, namespace: str) -> str | None:
        selector = f"involvedObject.uid={about['metadata']['uid']},type=Warning"
        events = await self.client.list(EVENTS, namespace, fieldSelector=selector)
        latest = max(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime")), default=None)
        return None if latest is None else f"{latest.get('reason', '')}: {latest.get('message', '')}"

    # Act.

    async def _start(self, seen: policy.RunInput, decision: policy.Start) -> Result:
        run, instance = seen.run, seen.instance
        if instance is None or not self.admission.admit(place(run), instance.spec.max_concurrent_runs):
            return await self._wait(seen, decision)
        body = desired_job.build(
            run,
            instance,
            self.agent,
            served=effective.web_endpoint_is_on(instance),
            deadline=policy.timeout(run, instance) + policy.GRACE,
        )
        if decision.status and not await self._write(run, decision.status):
            return Result(requeue_after=0.05)
        try:
            await self.client.create(JOBS, run.metadata.namespace, body)
        except ApiError as error:
            if not error.already_exists:
                raise
            return Result(requeue_after=0.05)  # made by the leader before us: the next look checks whose it is
        self.admission.start(place(run), body["metadata"]["name"])
        self.metrics.started(run, self.clock.now())
        self.pools.started_cold()
        return Result(requeue_after=policy.LOOK_AFTER)

    async def _adopt(self, seen: policy.RunInput, decision: policy.Adopt) -> Result:
        """The Job of the claimed pod becomes the run's: it goes with the run, and is found by its label."""
        if seen.job is None:
            raise RetryLater("no Job to adopt")
        metadata = seen.job["metadata"]
        patch = desired_job.adoption(seen.run, deadline=decision.deadline)
        patch["metadata"]["uid"] = metadata["uid"]
        await self.client.patch(JOBS, metadata["namespace"], metadata["name"], patch)
        return await self._left(seen, 0.05)

    async def _restart(self, seen: policy.RunInput) -> Result:
        """The claimed pod is of no more use: its Job goes, and the run gets one of its own, if nobody ended it meanwhile."""
        if await self._write(seen.run, {"start": "cold"}) and seen.job is not None:
            await self._delete(seen.job)
        return Result(requeue_after=0.05)

    async def _wait(self, seen: policy.RunInput, decision: policy.Start) -> Result:
        """The run's turn has not come; one that waits for longer is told its place in the line."""
        run, now = seen.run, seen.now
        patience = SHOW_AFTER - (now - run.metadata.created).total_seconds()
        if patience > 0:
            return Result(requeue_after=min(decision.requeue_after, patience))
        if self.admission.is_to_be_shown(place(run), now.timestamp()):
            position = self.admission.position(place(run))
            if position != run.status.queue_position:
                await self._write(run, {"phase": "Pending", "queuePosition": position})
        return Result(requeue_after=min(decision.requeue_after, self.admission.show_every(place(run))))

    async def _end(self, seen: policy.RunInput, decision: policy.End) -> Result:
        run, pod = seen.run, decision.pod
        live = await self.client.find(RUNS, *run.key)
        if live is None or AgentRun.model_validate(live).ended:
            return Result(requeue_after=0.05)  # somebody ended it since we read it: the next look cleans up
        job_name = seen.job["metadata"]["name"] if seen.job else run.status.job_name
        status = terminal_status.status_of(
            decision.record,
            job_name=job_name,
            pod_name=pod["metadata"]["name"] if pod else run.status.pod_name,
            started_at=run.status.started_at or (pod_policy.started_at(pod) if pod else None),
            now=self.clock.now(),
            start=run.status.start or (run.start_kind if seen.job or run.claimed_pod else None),
        )
        await self._write(run, status)
        if decision.delete_job and seen.job is not None:
            await self._delete(seen.job)
        return Result(requeue_after=0.5)  # the next look counts and cleans up, should the event be missed

    async def _write(self, run: AgentRun, status: Object) -> bool:
        """Write a status; False: the run has ended, or is gone, and what is there stands."""
        try:
            await self.client.patch(RUNS, *run.key, {"status": status}, subresource="status")
        except ApiError as error:
            if error.invalid and await self._has_ended(run):
                return False
            if error.not_found:
                return False
            raise
        return True

    async def _has_ended(self, run: AgentRun) -> bool:
        live = await self.client.find(RUNS, *run.key)
        return live is None or AgentRun.model_validate(live).ended

    async def _delete_job(self, seen: policy.RunInput) -> Result:
        if seen.job is None:
            raise RetryLater("no Job to delete")
        await self._delete(seen.job)
        return await self._left(seen, None)

    async def _delete(self, job: Object) -> None:
        metadata = job["metadata"]
        await self.client.delete(JOBS, metadata["namespace"], metadata["name"], uid=metadata["uid"])

    async def _left(self, seen: policy.RunInput, after: float | None) -> Result:
        """A run that has ended leaves its place; when it does, it is counted and told of, whoever ended it."""
        run = seen.run
        if not run.ended or not self.admission.release(place(run)):
            return Result(requeue_after=after) if after is not None else DONE
        self.metrics.ended(run, seen.job)
        error = run.status.error
        log.info("run ended", **logs.run_fields(run), phase=run.status.phase, error=error.type if error else None)
        if told := event_messages.of_run(run):
            await self.events.emit(run, told)
        return Result(requeue_after=after, enqueue=_keys(self.admission.turns()))


def _keys(runs: Iterable[Run]) -> tuple[Key, ...]:
    return tuple(Key("run", namespace, name) for namespace, name, _ in runs)


def place(run: AgentRun) -> Run:
    """A run as the admission knows it."""
    return (*run.key, run.metadata.uid)


def _instance(run: AgentRun) -> tuple[str, str]:
    return run.metadata.namespace, run.spec.agent_ref
