"""The life of an AgentRun in mode task, as one pure decision: from what was gathered to the one thing to do next."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sympozium_api import agent_protocol, effective
from sympozium_api.base import seconds
from sympozium_api.clock import parsed, timestamp
from sympozium_api.instance import AgentSpec, SympoziumInstance
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.run import AgentRun
from sympozium_operator.policy import pod_status
from sympozium_operator.policy.conditions import ConditionUpdate, merged

GRACE = 35
"""Seconds after the timeout that the agent has for saying so itself, and for delivering an answer that was just in time."""
LOOK_AFTER = 1
"""Seconds after which a Job's pod is looked at: most runs have ended by then, and cost nothing more."""
POLL = 2.5
"""Seconds between looks at a pod that does not run yet."""
INSTANCE_POLL = 5.0
CLAIM_PATIENCE = 5.0
"""Seconds for which the Job of a claimed pod may be missing: the web-proxy may be about to say that the pod left."""
OFFER_SECONDS = 0.3
"""For how long the instance's idle pods may take a run that nobody made for one of them."""
LINGER = 10
"""Seconds that the pod of a failed run has for ending by itself, so that its Job is kept complete."""
WARM_LINGER = 3
"""Seconds for which the pod of a warm run stays: taking it down costs a node more than the run did, and a burst goes first."""


@dataclass(frozen=True)
class RunLimits:
    """Settings that bound a run, in seconds."""

    start_timeout: int
    failed_job_retention: int


@dataclass(frozen=True)
class RunInput:
    """All that the decision may look at."""

    now: datetime
    limits: RunLimits
    run: AgentRun
    instance: SympoziumInstance | None = None
    secret_trouble: str | None = None
    """What is wrong with the model's Secret, if one is named."""
    job: Object | None = None
    started: bool = False
    """Whether this process knows that the run's Job was made."""
    offered: bool = False
    """Whether idle pods have had the time to take the run."""
    pods: tuple[Object, ...] | None = None
    """The Job's pods; None: not looked at."""
    nodes: tuple[Object, ...] = ()
    """All nodes, if the pod has none."""
    warning: str | None = None
    """The latest Warning event about the Job, or about its pod if it has one."""


@dataclass(frozen=True)
class Wait:
    """Nothing to do now."""

    requeue_after: float | None


@dataclass(frozen=True)
class Report:
    """Write what is known of a run that goes on."""

    status: Object
    requeue_after: float


@dataclass(frozen=True)
class Start:
    """Make the run's Job, when its turn has come."""

    requeue_after: float
    """Seconds until the run's time is over, should its turn not come."""
    status: Object | None = None
    """What takes back that the run waits, if that was said."""


@dataclass(frozen=True)
class Offer:
    """Wait whether an idle pod takes the run."""

    requeue_after: float = OFFER_SECONDS


@dataclass(frozen=True)
class Adopt:
    """Make the Job of the claimed pod the run's own."""

    deadline: int
    """Seconds that the Job may be active in all."""


@dataclass(frozen=True)
class Restart:
    """The claimed pod has ended without the run having reached it: it starts cold."""


@dataclass(frozen=True)
class End:
    """Write the terminal status that this record means."""

    record: agent_protocol.End
    pod: Object | None = None
    delete_job: bool = False


@dataclass(frozen=True)
class DeleteJob:
    """The run has ended and its Job is of no more use."""


Decision = Wait | Report | Start | Offer | Adopt | Restart | End | DeleteJob


def decide(seen: RunInput) -> Decision:
    """What to do next with a run in mode task."""
    if seen.run.ended:
        return _clean_up(seen)
    if seen.run.spec.cancel:
        return End(agent_protocol.error("cancelled", "the run was cancelled", 499), delete_job=True)
    return _without_job(seen) if seen.job is None else _with_job(seen, seen.job)


def should_inspect_pods(run: AgentRun, job: Object, now: datetime) -> bool:
    """Whether it is time to look at a Job's pod; a claimed one runs already, and what counts is for how long it has had its run."""
    if run.claimed_pod:  # timestamps are whole seconds: at the second one the run has had at least one
        return pod_status.job_ended(job) or (now - run.metadata.created).total_seconds() >= 2 * LOOK_AFTER
    return pod_status.job_ended(job) or _age(job, now) >= LOOK_AFTER


def should_read_warnings(pod: Object | None, job: Object, now: datetime, limits: RunLimits) -> bool:
    """Whether Events may be needed to explain what is missing: they are dear to read."""
    if pod is None:
        return not pod_status.job_ended(job)
    waits = pod_status.started_at(pod) is None and not pod_status.pod_ended(pod)
    return waits and _age(job, now) >= limits.start_timeout


def timeout(run: AgentRun, instance: SympoziumInstance | None) -> int:
    """Seconds that a run may take; without its instance the default counts."""
    if instance is not None:
        return effective.timeout(instance, run)
    default: str = AgentSpec.model_fields["run_timeout"].default
    return seconds(run.spec.timeout or default)


def _without_job(seen: RunInput) -> Decision:  # noqa: PLR0911 - one line per rule, in the order in which they count
    run = seen.run
    left = _left(seen, run.metadata.created)
    if (
        run.claimed_pod
        and not seen.started
        and (age := (seen.now - run.metadata.created).total_seconds()) < CLAIM_PATIENCE
    ):
        return Wait(CLAIM_PATIENCE - age)
    if seen.started or run.claimed_pod or _was_recorded(run):
        return End(agent_protocol.error("lost", "the run's Job is gone; a run is never started twice", 502))
    if left <= 0:
        return End(agent_protocol.error("timeout", "the run's time was over before it could be started", 504))
    if (trouble := effective.unsupported(run)) is not None:
        return End(agent_protocol.error("unsupported_parameter", trouble, 400))
    if seen.instance is None:
        missing = f"there is no SympoziumInstance {run.spec.agent_ref} in namespace {run.metadata.namespace}"
        return _report(seen, ConditionUpdate("Accepted", ok=False, reason="InstanceNotFound", message=missing), left)
    if seen.secret_trouble is not None:
        return End(agent_protocol.error("model_secret_missing", seen.secret_trouble, 503))
    return _to_start(seen, seen.instance, left)


def _was_recorded(run: AgentRun) -> bool:
    """Whether it was said that the run has a Job, other than that of an idle pod which it never reached."""
    unreached = run.spec.claim.job_name if run.spec.claim else None
    return run.status.job_name not in (None, unreached)


def _to_start(seen: RunInput, instance: SympoziumInstance, left: float) -> Decision:
    run = seen.run
    taken_back: Object = {}
    if run.status.queue_position is not None:
        taken_back["queuePosition"] = None
    if run.status.conditions:
        taken_back["conditions"] = _conditions(seen, ConditionUpdate("Accepted", ok=True, reason="Accepted"))
    if could_be_taken(run, instance):
        if effective.warm_pool(instance) and not seen.offered:
            return Offer()
        taken_back["start"] = "cold"
    return Start(left, taken_back or None)


def could_be_taken(run: AgentRun, instance: SympoziumInstance) -> bool:
    """Whether a web-proxy, which may know of a pool before we do, could give a run that none of them made to an idle pod."""
    return effective.is_claimable(run) and effective.web_endpoint_is_on(instance)


def _with_job(seen: RunInput, job: Object) -> Decision:  # noqa: PLR0911 - one line per rule, in the order in which they count
    if not (_is_own(seen, job) or is_claimed(seen, job)):
        return End(agent_protocol.error("lost", f"the Job {job['metadata']['name']} belongs to something else", 502))
    pod = pod_status.job_pod(seen.pods or (), job)
    if pod_status.job_ended(job) or (pod is not None and pod_status.pod_ended(pod)):
        if (
            seen.run.spec.claim
            and seen.run.status.start is None
            and pod is not None
            and pod_status.never_had_a_task(pod)
        ):
            return Restart()
        return End(pod_status.ending(pod, job), pod)
    since = seen.run.metadata.created if seen.run.claimed_pod else parsed(job["metadata"]["creationTimestamp"])
    left = _left(seen, since, grace=GRACE)
    if left <= 0:
        return End(agent_protocol.error("timeout", "the run took longer than its timeout", 504), pod, delete_job=True)
    if seen.pods is None:
        return Wait(min(LOOK_AFTER, left))
    if is_claimed(seen, job):
        return Adopt(int(_age(job, seen.now) + left) + 1)
    if pod is None:
        return _unmade(seen, job, left)
    if (running_since := pod_status.started_at(pod)) is None:
        return _unstarted(seen, job, pod, left)
    return Wait(left) if seen.run.status.phase == "Running" else _running(seen.run, job, pod, running_since, left)


def _is_own(seen: RunInput, job: Object) -> bool:
    return pod_status.controller_uid(job) == seen.run.metadata.uid


def is_claimed(seen: RunInput, job: Object) -> bool:
    """Whether a Job is that of the run's claimed pod, and still its instance's."""
    owner = pod_status.controller(job)
    instance = owner.get("kind") == INSTANCES.kind and owner.get("name") == seen.run.spec.agent_ref
    return bool(seen.run.claimed_pod) and instance


def _unmade(seen: RunInput, job: Object, left: float) -> Decision:
    """A Job without a pod: denied by a quota or by Pod Security, or the Job controller is slow."""
    age = _age(job, seen.now)
    if seen.warning is not None and age >= pod_status.DENIAL_PATIENCE:
        return End(pod_status.denied(seen.warning).record(), delete_job=True)
    if age >= seen.limits.start_timeout:
        text = f"no pod was made for it within {seen.limits.start_timeout} s"
        return End(pod_status.StartFailure("NoPod", text, 503).record(), delete_job=True)
    return Wait(min(POLL, left))


def _unstarted(seen: RunInput, job: Object, pod: Object, left: float) -> Decision:
    found = pod_status.trouble(
        pod,
        age=_age(job, seen.now),
        patience=seen.limits.start_timeout,
        nodes=seen.nodes,
        warning=seen.warning,
    )
    if found is not None:
        return End(found.record(), pod, delete_job=True)
    return Wait(min(POLL, left))


def _running(run: AgentRun, job: Object, pod: Object, since: str, left: float) -> Report:
    named = {"jobName": job["metadata"]["name"], "podName": pod["metadata"]["name"]}
    warm = {"start": "warm", "startedAt": timestamp(run.metadata.created)} if run.claimed_pod else {"startedAt": since}
    return Report({"phase": "Running"} | warm | named, left)


def _report(seen: RunInput, finding: ConditionUpdate, left: float) -> Decision:
    """Say why a run waits, if that has not been said."""
    after = min(INSTANCE_POLL, left)
    conditions = _conditions(seen, finding)
    if conditions == [c.model_dump(by_alias=True, exclude_none=True) for c in seen.run.status.conditions]:
        return Wait(after)
    return Report({"phase": "Pending", "conditions": conditions}, after)


def _conditions(seen: RunInput, finding: ConditionUpdate) -> list[Object]:
    metadata = seen.run.metadata
    old = seen.run.status.conditions
    return merged(old, [finding], generation=metadata.generation, now=timestamp(seen.now))


def _clean_up(seen: RunInput) -> Decision:
    """The Job of an ended run goes at once; that of a failed one is kept for its logs, if its pod ends by itself."""
    if seen.job is None or not (_is_own(seen, seen.job) or is_claimed(seen, seen.job)):
        return Wait(None)
    status = seen.run.status
    since = (seen.now - parsed(status.completed_at or timestamp(seen.now))).total_seconds()
    if status.phase != "Failed":
        lingers = status.phase == "Succeeded" and is_claimed(seen, seen.job) and since < WARM_LINGER
        return Wait(WARM_LINGER - since) if lingers else DeleteJob()
    if is_claimed(seen, seen.job):
        return Adopt(int(_age(seen.job, seen.now)) + seen.limits.failed_job_retention)
    keep = seen.limits.failed_job_retention if pod_status.job_ended(seen.job) else LINGER
    left = keep - since
    return DeleteJob() if left <= 0 else Wait(min(left, LINGER) if not pod_status.job_ended(seen.job) else left)


def _left(seen: RunInput, since: datetime, *, grace: int = 0) -> float:
    """Seconds until the run's time, and what grace its agent has, is over."""
    limit = timedelta(seconds=timeout(seen.run, seen.instance) + grace)
    return (since + limit - seen.now).total_seconds()


def _age(job: Object, now: datetime) -> float:
    return (now - parsed(job["metadata"]["creationTimestamp"])).total_seconds()
