"""Start of a run: its deadline, and the reasons why its Job or pod does not start. Pure."""

from datetime import datetime, timedelta

from sympozium_api import agent_protocol, agent_records, effective
from sympozium_api.resources import Object, created_at
from sympozium_operator.policy import pod_status, quota_denial
from sympozium_operator.policy.pod_status import StartFailure
from sympozium_operator.policy.run_input import RunInput

REPORT_AFTER = 5
"""Seconds that a Job waits for a node or a quota before this is reported: most wait less, and an Event is a write."""


def queue_timeout(facts: RunInput) -> int:
    """Return the seconds that the run may wait for its start."""
    return effective.queue_timeout(facts.instance, facts.limits.queue_timeout)


def refusal(facts: RunInput) -> agent_records.Error | None:
    """Return the end record of a run that asks for what it may not have, or whose model has no key."""
    if facts.denial is not None:
        return agent_protocol.error_of("policy_denied", str(facts.denial), 403)
    if facts.secret_refusal is not None:
        return agent_protocol.error_of("model_secret_refused", facts.secret_refusal, 403)
    if facts.model_failure is not None:
        return agent_protocol.error_of("model_not_ready", facts.model_failure, 503)
    if facts.secret_failure is not None:
        return agent_protocol.error_of("model_secret_missing", facts.secret_failure, 503)
    return None


def left(facts: RunInput) -> float:
    """Return the seconds until the run's start deadline."""
    limit = timedelta(seconds=queue_timeout(facts))
    return (facts.run.metadata.created + limit - facts.now).total_seconds()


def refused_job(message: str, *, forbidden: bool, waited: float) -> StartFailure | None:
    """Return the failure of a run whose Job the API server refuses for good; None: it is worth another attempt.

    ``message`` is the API server's, ``waited`` the seconds since the first refusal. A right, a quota or a webhook (``forbidden``)
    may be repaired within seconds; an object that violates the schema stays as it is.
    """
    if forbidden and waited < pod_status.DENIAL_PATIENCE:
        return None
    return StartFailure("JobRefused", message, 503)


def waits_for_capacity(facts: RunInput) -> bool:
    """Return whether the scheduler finds no node for the run's pod, as far as its pods were inspected."""
    pod = pod_status.job_pod(facts.pods or (), facts.job) if facts.job else None
    return pod is not None and pod_status.is_unschedulable(pod)


def waits_for_quota(facts: RunInput) -> bool:
    """Return whether a quota denies the Job's pod, and another run of the namespace may free what the pod needs."""
    denial = facts.warning or ""
    return facts.quota_may_free and quota_denial.is_of_quota(denial) and quota_denial.can_ever_fit(denial)


def waiting_reason(facts: RunInput) -> str | None:
    """Return why the run waits for a node or a quota, if it has waited for some seconds."""
    if facts.job is None or (facts.now - created_at(facts.job)).total_seconds() < REPORT_AFTER:
        return None
    if waits_for_quota(facts):
        return facts.warning
    pod = pod_status.job_pod(facts.pods or (), facts.job)
    return pod_status.unschedulable_reason(pod) if pod is not None and pod_status.is_unschedulable(pod) else None


def failure(facts: RunInput, job: Object, pod: Object | None) -> StartFailure | None:
    """Return the reason why a run fails whose pod does not run yet; None: the run may still start."""
    if pod is None:
        return _unmade(facts, job)
    placed = pod_status.placed_at(pod)
    return _unplaced(facts, pod) if placed is None else _unstarted(facts, pod, placed)


def _unmade(facts: RunInput, job: Object) -> StartFailure | None:
    """Return the failure of a Job without a pod: a quota or Pod Security denied it, or the Job controller is slow."""
    age = (facts.now - created_at(job)).total_seconds()
    if waits_for_quota(facts) and left(facts) > 0:
        return None
    if facts.warning is not None and age >= pod_status.DENIAL_PATIENCE:
        return pod_status.denied(facts.warning)
    if age >= facts.limits.start_timeout:
        return StartFailure("NoPod", f"no pod was created for it within {facts.limits.start_timeout} s", 503)
    return None


def _unplaced(facts: RunInput, pod: Object) -> StartFailure | None:
    """Return the failure of a pod without a node: no node could ever hold it, or the run's start deadline has passed."""
    limit = queue_timeout(facts)
    waited = limit - left(facts)
    found = pod_status.start_failure(pod, age=waited, patience=limit, nodes=facts.nodes, warning=None)
    if found is None and waited >= limit:
        return StartFailure("Unschedulable", f"the pod got no node within {limit} s", 503)
    return found


def _unstarted(facts: RunInput, pod: Object, placed: datetime) -> StartFailure | None:
    age = (facts.now - placed).total_seconds()
    return pod_status.start_failure(pod, age=age, patience=facts.limits.start_timeout, nodes=(), warning=facts.warning)
