"""Life of an AgentRun in mode task as one pure decision: from what was gathered to the one thing to do next."""

import math
from datetime import UTC, datetime, timedelta

from sympozium_api import agent_protocol, effective, model_targets
from sympozium_api.base import seconds
from sympozium_api.instance import AgentSpec, SympoziumInstance
from sympozium_api.resources import Object, created_at
from sympozium_api.run import AgentRun
from sympozium_api.run_times import times
from sympozium_api.timestamps import parse_timestamp, timestamp
from sympozium_operator.policy import pod_status, run_start
from sympozium_operator.policy.conditions import ConditionUpdate, find, merged
from sympozium_operator.policy.job_ownership import is_claimed, is_own
from sympozium_operator.policy.run_action import (
    OFFER_SECONDS,
    Adopt,
    Decision,
    DeleteJob,
    End,
    Offer,
    Queue,
    Report,
    Restart,
    Start,
    Wait,
)
from sympozium_operator.policy.run_input import RunInput, RunLimits

GRACE = 35
"""Seconds after the timeout in which the agent may report the timeout itself, or deliver an answer that was just in time."""
INSPECT_AFTER = 1
"""Seconds after which a Job's pod is inspected: most runs have ended by then, and cost nothing more."""
LATEST_OFFER = 25
"""Seconds from its creation in which a run may wait for an idle pod: web-proxies claim in the first 30."""
LATEST_CLAIM = 60
"""Seconds from its creation in which a run may get an idle pod; web-proxies claim in the first 30."""
POLL = 2.5
"""Seconds between inspections of a pod that does not run yet."""
INSTANCE_POLL = 5.0
POLICY_POLL = 0.2
"""Seconds until an instance is read again whose document is about to hold the policy that binds it."""
CLAIM_PATIENCE = 5.0
"""Seconds for which the Job of a claimed pod may be missing: the web-proxy may be about to report that the pod left."""
STOP_SECONDS = 10
"""Seconds that the pod of a failed run has for ending by itself, so that its Job is kept complete."""
WARM_STOP_SECONDS = 3
"""Seconds for which the pod of a warm run stays: stopping it costs a node more than the run did, and a burst goes first."""


def decide(facts: RunInput) -> Decision:
    """Return what to do next with a run in mode task."""
    if facts.run.ended:
        return _clean_up(facts)
    if facts.run.spec.cancel:
        return End(
            agent_protocol.error("cancelled", "The run was cancelled.", 499),
            delete_job=facts.job is None or _has_job(facts),
        )
    if (conflict := effective.claim_conflict(facts.run)) is not None:
        return End(agent_protocol.error_of("unsupported_parameter", conflict, 400))
    return _without_job(facts) if facts.job is None else _with_job(facts, facts.job)


def uses_claim(facts: RunInput, decision: Decision) -> bool:
    """Return whether a decision adopts, deletes or reads the end of a Job that the run claims and does not own."""
    acts = isinstance(decision, Adopt | Restart | DeleteJob | End)
    return acts and facts.job is not None and is_claimed(facts, facts.job)


def claimed_at(run: AgentRun) -> datetime:
    """Return the time at which an idle pod was bound to a run: at its creation, or while it waited for its start.

    A time beyond that wait does not count, because other accounts may write statuses.
    """
    created, latest = run.metadata.created, run.metadata.created + timedelta(seconds=LATEST_CLAIM)
    try:
        started = parse_timestamp(run.status.started_at or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return created
    return max(created, min(started, latest))


def should_inspect_pods(run: AgentRun, job: Object, now: datetime) -> bool:
    """Return whether it is time to inspect a Job's pod. A claimed pod runs already: the time since it has its run counts."""
    if run.claimed_pod:  # timestamps are whole seconds: when two have passed, the run has had its pod for at least one
        return pod_status.job_ended(job) or (now - claimed_at(run)).total_seconds() >= 2 * INSPECT_AFTER
    return pod_status.job_ended(job) or _age(job, now) >= INSPECT_AFTER


def should_read_warnings(pod: Object | None, job: Object, now: datetime, limits: RunLimits) -> bool:
    """Return whether Events may be needed to explain what is missing: reading them is expensive."""
    if pod is None:
        return not pod_status.job_ended(job)
    placed = pod_status.placed_at(pod)
    waits = placed and pod_status.started_at(pod) is None and not pod_status.pod_ended(pod)
    return bool(waits and placed and (now - placed).total_seconds() >= limits.start_timeout)


def may_be_too_large(job: Object, now: datetime, limits: RunLimits) -> bool:
    """Return whether to check that a node could hold the pod: only at first, because listing all nodes is expensive."""
    return _age(job, now) < limits.start_timeout


def timeout(run: AgentRun, instance: SympoziumInstance | None) -> int:
    """Return the seconds that a run may take; without its instance the default counts."""
    if instance is not None:
        return effective.timeout(instance, run)
    default: str = AgentSpec.model_fields["run_timeout"].default
    return seconds(run.spec.timeout or default)


def _without_job(facts: RunInput) -> Decision:  # noqa: PLR0911 - one line per rule, in the order in which they count
    run = facts.run
    left = run_start.left(facts)
    if (
        run.claimed_pod
        and not facts.slot.job_known
        and (age := (facts.now - claimed_at(run)).total_seconds()) < CLAIM_PATIENCE
    ):
        return Wait(CLAIM_PATIENCE - age)
    if facts.slot.job_known or run.claimed_pod or _names_a_job(run):
        return End(agent_protocol.error("lost", "The run's Job is gone, and a run is never started twice.", 502))
    if left <= 0 and facts.instance is None:
        return End(agent_protocol.error_of("instance_missing", _no_instance(facts), 404))
    if left <= 0:
        return End(
            agent_protocol.error("timeout", f"The run could not start within {run_start.queue_timeout(facts)} s.", 504)
        )
    if (unsupported := effective.unsupported(run)) is not None:
        return End(agent_protocol.error_of("unsupported_parameter", unsupported, 400))
    if facts.instance is None:
        update = ConditionUpdate("Accepted", ok=False, reason="InstanceNotFound", message=_no_instance(facts))
        return _report(facts, update, left)
    refusal = run_start.refusal(facts)
    return End(refusal) if refusal else _to_start(facts, facts.instance, left)


def _no_instance(facts: RunInput) -> str:
    """Return why the run's instance cannot be used."""
    run = facts.run
    absent = f"there is no SympoziumInstance {run.spec.agent_ref} in namespace {run.metadata.namespace}"
    return facts.instance_failure or absent


def _names_a_job(run: AgentRun) -> bool:
    """Return whether the status names a Job of the run, other than that of an idle pod which the run never reached."""
    unreached = run.spec.claim.job_name if run.spec.claim else None
    return run.status.job_name not in (None, unreached)


def _to_start(facts: RunInput, instance: SympoziumInstance, left: float) -> Decision:
    run, slot = facts.run, facts.slot
    if facts.is_policy_awaited:
        return Wait(POLICY_POLL)
    claimable = could_be_claimed(run, instance)
    if claimable and effective.warm_pool(instance) and (offer := _offer(facts)):
        return offer
    if not slot.admitted:
        moved = slot.position is not None and slot.position != run.status.queue_position
        status = {"phase": "Pending", "queuePosition": slot.position} if moved else None
        return Queue(min(left, slot.requeue_after), status)
    return Start(
        instance,
        served=effective.web_endpoint_is_on(instance),
        deadline=math.ceil(left) + timeout(run, instance) + GRACE,
        status=_started(facts, instance, claimable=claimable),
        models=facts.models,
    )


def _started(facts: RunInput, instance: SympoziumInstance, *, claimable: bool) -> Object | None:
    """Return the status that takes back what was written while the run waited, and refuses idle pods from now on."""
    run = facts.run
    status: Object = {}
    if run.status.queue_position is not None:
        status["queuePosition"] = None
    if find(run.status.conditions, "Accepted") is not None:
        status["conditions"] = _conditions(facts, ConditionUpdate("Accepted", ok=True, reason="Accepted"))
    if claimable:
        status["start"] = "cold"
    if facts.models is not None and model_targets.names_a_provider(run, instance) and facts.models.targets[0].ref:
        status["target"] = facts.models.targets[0].model_dump(by_alias=True, exclude_none=True)
    return status or None


def _offer(facts: RunInput) -> Offer | None:
    """Return the offer of a claimable run to idle pods; None: it has had the time, and no pod is expected sooner than a cold start."""
    slot, age = facts.slot, (facts.now - facts.run.metadata.created).total_seconds()
    if slot.admitted and slot.idle_pod_in is not None and age < LATEST_OFFER:
        return Offer(max(slot.idle_pod_in, OFFER_SECONDS), waits=True)
    return None if slot.offered or effective.awaits_idle_pod(facts.run) else Offer()


def could_be_claimed(run: AgentRun, instance: SympoziumInstance) -> bool:
    """Return whether a web-proxy may assign the run to an idle pod; the web-proxy may know of a pool before the operator does."""
    return effective.is_claimable(run, instance) and effective.web_endpoint_is_on(instance)


def _with_job(facts: RunInput, job: Object) -> Decision:  # noqa: PLR0911 - one line per rule, in the order in which they count
    if not _has_job(facts):
        return End(agent_protocol.error("lost", f"The Job {job['metadata']['name']} belongs to another owner.", 502))
    pod = pod_status.job_pod(facts.pods or (), job)
    if pod_status.job_ended(job) or (pod is not None and pod_status.pod_ended(pod)):
        if (
            facts.run.spec.claim
            and facts.run.status.start is None
            and pod is not None
            and pod_status.never_had_a_task(pod)
        ):
            return Restart()
        return End(pod_status.ending(pod, job), pod)
    since = claimed_at(facts.run) if facts.run.claimed_pod else pod and pod_status.placed_at(pod)
    left = _left(facts, since) if since else max(run_start.left(facts), INSPECT_AFTER)
    if left <= 0:
        return End(agent_protocol.error("timeout", "The run took longer than its timeout.", 504), pod, delete_job=True)
    if facts.pods is None:
        return Wait(min(INSPECT_AFTER, left))
    if is_claimed(facts, job):
        return Adopt(int(_age(job, facts.now) + left) + 1)
    if pod is None or (running_since := pod_status.started_at(pod)) is None:
        return _not_running(facts, job, pod, left)
    return Wait(left) if facts.run.status.phase == "Running" else _running(facts.run, job, pod, running_since, left)


def _has_job(facts: RunInput) -> bool:
    """Return whether the Job that was found is the run's: its own, or that of the pod that it claims."""
    return facts.job is not None and (is_own(facts.run, facts.job) or is_claimed(facts, facts.job))


def _not_running(facts: RunInput, job: Object, pod: Object | None, left: float) -> Decision:
    """Return the decision for a Job whose pod does not run yet."""
    failure = run_start.failure(facts, job, pod)
    if failure is not None:
        return End(failure.record(), pod, delete_job=True)
    return Wait(min(POLL, left))


def _running(run: AgentRun, job: Object, pod: Object, since: str, left: float) -> Report:
    named = {"jobName": job["metadata"]["name"], "podName": pod["metadata"]["name"]}
    warm = {"start": "warm", "startedAt": timestamp(claimed_at(run))} if run.claimed_pod else {"startedAt": since}
    made = {"times": times(jobAt=job["metadata"]["creationTimestamp"])}
    return Report({"phase": "Running"} | made | warm | named, left)


def _report(facts: RunInput, update: ConditionUpdate, left: float) -> Decision:
    """Report why a run waits, unless its status says so already."""
    after = min(INSTANCE_POLL, left)
    conditions = _conditions(facts, update)
    if conditions == [c.model_dump(by_alias=True, exclude_none=True) for c in facts.run.status.conditions]:
        return Wait(after)
    return Report({"phase": "Pending", "conditions": conditions}, after)


def _conditions(facts: RunInput, update: ConditionUpdate) -> list[Object]:
    metadata = facts.run.metadata
    old = facts.run.status.conditions
    return merged(old, [update], generation=metadata.generation, now=timestamp(facts.now))


def _clean_up(facts: RunInput) -> Decision:
    """Return the decision for an ended run: its Job is deleted at once, except a failed run's, which keeps its logs for a while."""
    if facts.job is None or not _has_job(facts):
        return Wait(None)
    status = facts.run.status
    since = (facts.now - parse_timestamp(status.completed_at or timestamp(facts.now))).total_seconds()
    if status.phase != "Failed":
        lingers = status.phase == "Succeeded" and is_claimed(facts, facts.job) and since < WARM_STOP_SECONDS
        return Wait(WARM_STOP_SECONDS - since) if lingers else DeleteJob()
    if is_claimed(facts, facts.job):
        return Adopt(int(_age(facts.job, facts.now)) + facts.limits.failed_job_retention)
    keep = facts.limits.failed_job_retention if pod_status.job_ended(facts.job) else STOP_SECONDS
    left = keep - since
    return DeleteJob() if left <= 0 else Wait(min(left, STOP_SECONDS) if not pod_status.job_ended(facts.job) else left)


def _left(facts: RunInput, since: datetime) -> float:
    """Return the seconds until the run's timeout, and its agent's grace, are over."""
    limit = timedelta(seconds=timeout(facts.run, facts.instance) + GRACE)
    return (since + limit - facts.now).total_seconds()


def _age(job: Object, now: datetime) -> float:
    return (now - created_at(job)).total_seconds()
