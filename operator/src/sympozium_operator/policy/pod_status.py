"""Readers of Jobs and pods: whether and how they ended, or why they do not start. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sympozium_api import agent_protocol, agent_records, end_record, names
from sympozium_api.resources import Object
from sympozium_api.timestamps import parse_timestamp
from sympozium_operator.desired.quantity import InvalidQuantity, quantity

PULL_PATIENCE = 20
"""Seconds for which a failing image pull is tolerated: registries fail for moments, and the kubelet tries again."""
DENIAL_PATIENCE = 15
"""Seconds for which a Job may be without a pod before the reason is final: quotas free up, ServiceAccounts appear."""

_NEVER_STARTS = ("InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError")
_PULL_FAILS = ("ErrImagePull", "ImagePullBackOff")
_GIVEN_UP = ("Failed", "FailureTarget")
_FINISHED = (*_GIVEN_UP, "Complete", "SuccessCriteriaMet")


@dataclass(frozen=True)
class StartFailure:
    """Reason why a pod cannot run."""

    reason: str
    message: str
    http_status: int = 502

    def record(self) -> agent_records.Error:
        """Return the end record of a run whose pod cannot run."""
        text = f"the pod could not be started: {self.reason}: {self.message}"
        return agent_protocol.error_of("start_failed", text.strip(": "), self.http_status)


def denied(warning: str) -> StartFailure:
    """Return the reason why a Job has no pod, from the latest Warning event about the Job (``Reason: message``)."""
    reason, _, message = warning.partition(": ")
    return StartFailure(reason, message, 503)


def never_had_a_task(pod: Object) -> bool:
    """Return whether an idle pod has ended and reported that it never had a task."""
    terminated = (_container(pod).get("state") or {}).get("terminated") or {}
    return (_message(terminated.get("message")) or {}).get("type") == agent_protocol.UNUSED


def job_ended(job: Object) -> bool:
    """Return whether the Job's pod has ended for the Job controller, or the controller has given the Job up."""
    status = job.get("status") or {}
    finished = [c for c in status.get("conditions") or [] if c["type"] in _FINISHED and c["status"] == "True"]
    return bool(finished or status.get("succeeded") or status.get("failed"))


def job_pod(pods: Iterable[Object], job: Object) -> Object | None:
    """Return the pod that the Job controller made for a Job: of several that have not ended the oldest, because anybody may add pods."""
    metadata = job["metadata"]
    own = [
        pod
        for pod in pods
        if controller_uid(pod) == metadata["uid"] and names.is_pod_of_job(pod["metadata"]["name"], metadata["name"])
    ]
    return min(own, key=lambda pod: (pod_ended(pod), str(pod["metadata"]["creationTimestamp"])), default=None)


def controller_uid(body: Object) -> str | None:
    """Return the uid of an object's controller owner."""
    return controller(body).get("uid")


def controller(body: Object) -> Object:
    """Return the reference to an object's controller owner; empty if it has none."""
    owners = body["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def pod_ended(pod: Object) -> bool:
    """Return whether no container of the pod runs or will run again."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def started_at(pod: Object) -> str | None:
    """Return the time since which the pod's container runs or ran; None if it has not started."""
    state = _container(pod).get("state") or {}
    since: str | None = (state.get("running") or state.get("terminated") or {}).get("startedAt")
    return since


def placed_at(pod: Object) -> datetime | None:
    """Return the time since which the pod has a node; None if it has none."""
    if not pod["spec"].get("nodeName"):
        return None
    conditions = (pod.get("status") or {}).get("conditions") or []
    scheduled: Object = next((c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "True"), {})
    return parse_timestamp(scheduled.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])


def is_unschedulable(pod: Object) -> bool:
    """Return whether the scheduler has found no room for the pod so far."""
    return _condition(pod, "PodScheduled").get("reason") == "Unschedulable"


def is_gated(pod: Object) -> bool:
    """Return whether the pod is held back from the scheduler, e.g. by Kueue."""
    return _condition(pod, "PodScheduled").get("reason") == "SchedulingGated"


def unschedulable_reason(pod: Object) -> str:
    """Return the scheduler's message about a pod that it found no node for."""
    return str(_condition(pod, "PodScheduled").get("message", ""))


def start_failure(
    pod: Object, *, age: float, patience: float, nodes: Iterable[Object], warning: str | None
) -> StartFailure | None:
    """Return the reason why a pod that is not running yet never will be, or not soon enough; None if it may still start.

    ``age`` is in seconds, ``patience`` the seconds that a pod may look for a node, ``warning`` the pod's latest Warning event.
    """
    waiting = (_container(pod).get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason") or "", waiting.get("message") or ""
    if reason in _NEVER_STARTS or (reason in _PULL_FAILS and age >= PULL_PATIENCE):
        return StartFailure(reason, message)
    if is_unschedulable(pod):
        why = unschedulable_reason(pod)
        if nodes and not any(_could_hold(node, pod) for node in nodes):
            return StartFailure("Unschedulable", f"no node is large enough ({why})", 503)
        return StartFailure("Unschedulable", why, 503) if age >= patience else None
    if age >= patience and warning is not None:
        return StartFailure(reason or "Pending", warning)
    return None


def crash(pod: Object) -> StartFailure | None:
    """Return the reason why a pod's container crashes again and again; the message is the same between two starts and during one."""
    container = _container(pod)
    last = (container.get("lastState") or {}).get("terminated") or (container.get("state") or {}).get("terminated")
    if not last or container.get("ready"):
        return None
    words = f"the container ended with exit code {last.get('exitCode')} ({last.get('reason') or 'no reason'})"
    return StartFailure("CrashLoopBackOff", words)


def ending(pod: Object | None, job: Object) -> agent_records.End:
    """Return the end record of a run whose pod or Job has ended without a stored record."""
    status = (pod or {}).get("status") or {}
    terminated = (_container(pod).get("state") or {}).get("terminated") or {} if pod else {}
    if record := _last_words(terminated.get("message")):
        return record
    given_up: Object = next(
        (c for c in (job.get("status") or {}).get("conditions") or [] if c["type"] in _GIVEN_UP), {}
    )
    reasons = (given_up.get("reason"), status.get("reason"))
    if "DeadlineExceeded" in reasons:
        return agent_protocol.error("timeout", "The run took longer than its timeout.", 504)
    return agent_protocol.error_of("lost", _what_happened(status, terminated, pod), 502)


def _what_happened(status: Object, terminated: Object, pod: Object | None) -> str:
    if terminated.get("reason") == "OOMKilled":
        return "the agent was killed because it exceeded its container's memory limit (OOMKilled)"
    disruption: Object = next((c for c in status.get("conditions") or [] if c["type"] == "DisruptionTarget"), {})
    if status.get("reason") or disruption:
        why = disruption.get("message") or status.get("message") or ""
        return f"the agent's pod was removed by the cluster: {status.get('reason') or disruption.get('reason')} {why}".strip()
    if "exitCode" in terminated:
        return f"the agent ended with exit code {terminated['exitCode']} before its answer was stored"
    return "the agent's pod ended before its answer was stored" if pod else "the agent's pod is gone"


def _last_words(message: str | None) -> agent_records.End | None:
    """Return the end record in a termination message, if it holds one."""
    record = _message(message)
    if record is not None and record.get("type") in agent_protocol.END_RECORDS:
        return end_record.end_of(record)
    return None


def _message(message: str | None) -> Object | None:
    try:
        value = json.loads(message or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _container(pod: Object) -> Object:
    """Return the status of the pod's first container."""
    statuses: list[Object] = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return statuses[0]


def _condition(pod: Object, kind: str) -> Object:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind and c["status"] == "False"), {})


def _could_hold(node: Object, pod: Object) -> bool:
    """Return whether a node, if it were empty, had room for the pod's requests."""
    room = (node.get("status") or {}).get("allocatable") or {}
    containers = pod["spec"]["containers"]
    for name in ("cpu", "memory"):
        requested = sum((_amount((c.get("resources") or {}).get("requests"), name) for c in containers), Decimal())
        if name in room and requested > _amount(room, name):
            return False
    return True


def _amount(amounts: Object | None, name: str) -> Decimal:
    try:
        return quantity(str((amounts or {}).get(name, "0")))
    except InvalidQuantity:
        return Decimal()
