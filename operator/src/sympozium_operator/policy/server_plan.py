"""Plan of an AgentRun in mode server: its children and its status."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sympozium_api import effective, names
from sympozium_api.base import RECONCILING
from sympozium_api.effective import InvalidSpec
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object, created_at
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import Sidecar
from sympozium_api.timestamps import parse_timestamp, timestamp
from sympozium_api.web_endpoint import Autoscaling
from sympozium_operator.policy import pod_status
from sympozium_operator.policy.conditions import ConditionUpdate, find, merged
from sympozium_operator.policy.instance_plan import auth_secret_failure, owns
from sympozium_operator.policy.key_limits_condition import KEY_LIMITS_VALID
from sympozium_operator.policy.web_endpoint_pack import NO_PACK, WebEndpointPack

_OVERDUE = timedelta(seconds=30)
"""Time after a pod's grace period after which the pod, if it still exists, is taken for one of an unreachable node."""

POLL = 3.0
"""Seconds between reconciles of a server that is not available, because its pods are not watched."""


@dataclass(frozen=True)
class ServerInput:
    """All that the plan may look at."""

    run: AgentRun
    instance: SympoziumInstance | None
    pack: WebEndpointPack = NO_PACK
    auth_secret: Object | None = None
    """Secret that the instance names for its API keys, if it names one and it exists."""


@dataclass(frozen=True)
class ServerPlan:
    """Values from which the server is made."""

    instance: SympoziumInstance
    sidecar: Sidecar
    replicas: int
    """Number of replicas; with ``autoscaling``, their minimum."""
    autoscaling: Autoscaling | None
    keys_secret: str


@dataclass(frozen=True)
class Drain:
    """Decision to remove the server: its pods finish accepted requests, then the server run and its children go."""


def decide(facts: ServerInput) -> ServerPlan | Drain | ConditionUpdate | None:  # noqa: PLR0911 - one line per rule, in the order in which they count
    """Return the server to make; or its removal; or the reason why it stays as it is; or None if there is nothing to do or report."""
    run, instance = facts.run, facts.instance
    if instance is None:
        return _refused("InstanceNotFound", f"there is no SympoziumInstance {run.spec.agent_ref}")
    if run.metadata.name != names.web_endpoint_run(run.spec.agent_ref):
        return _refused("NotTheWebEndpoint", "only the operator creates runs in mode server, one per instance")
    try:
        effective.refuse_unsupported(instance)
        endpoint = effective.web_endpoint(instance)
    except InvalidSpec as error:
        return _refused("InvalidSpec", str(error))
    if endpoint is None:
        return Drain() if owns(instance, run) else None
    sidecar = facts.pack.sidecar
    if (unusable := facts.pack.failure) or sidecar is None:
        return unusable
    if endpoint.auth_secret_ref and (failure := auth_secret_failure(endpoint.auth_secret_ref, facts.auth_secret)):
        return failure
    keys = endpoint.auth_secret_ref or names.api_key_secret(run.metadata.name)
    return ServerPlan(instance, sidecar, endpoint.replicas, endpoint.autoscaling, keys)


def replicas(plan: ServerPlan, deployment: Object | None) -> int:
    """Return the replicas of the Deployment: with autoscaling its current ones, because only the autoscaler changes them.

    They are applied all the same: a field that no manager applies any more would fall back to its default, one.
    """
    if plan.autoscaling is None or deployment is None:
        return plan.replicas
    current: int = deployment["spec"].get("replicas", 1)
    return min(max(plan.replicas, current), plan.autoscaling.max_replicas)


def has_older_keys(deployment: Object, version: str) -> bool:
    """Return whether the Secret with the API keys has changed since its pods were notified."""
    annotations = deployment["metadata"].get("annotations") or {}
    return bool(annotations.get(names.ANNOTATION_KEYS_VERSION) != version)


def draining(its_pods: Iterable[Object], now: datetime) -> list[Object]:
    """Return the pods that may still finish accepted requests: those whose grace period (and a little) is not over."""
    return [
        pod
        for pod in its_pods
        if not (until := pod["metadata"].get("deletionTimestamp")) or now < parse_timestamp(until) + _OVERDUE
    ]


def available(deployment: Object | None) -> bool:
    """Return whether a Deployment has the condition Available."""
    conditions = ((deployment or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)


def settled(deployment: Object) -> bool:
    """Return whether all of a Deployment's replicas are up to date and available."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return observed and counts == [wanted] * 3


def status(
    run: AgentRun,
    accepted: ConditionUpdate,
    deployment: Object | None,
    its_pods: Sequence[Object],
    now: datetime,
    *,
    generation: int,
    key_limits: ConditionUpdate | None = None,
) -> Object:
    """Return the whole status of a server run.

    ``generation``: that of the instance whose spec the server was made from. The conditions observe it, because the run's own spec
    never changes. ``key_limits``: the state of the limits beside the API keys; None: there are none, or they were not read.
    """
    before = find(run.status.conditions, "Started")
    started = _started(deployment, its_pods, now)
    if started.reason == "ErrImagePull" and before is not None and before.reason == "ImagePullBackOff":
        started = ConditionUpdate(
            "Started", ok=False, reason=before.reason, message=before.message
        )  # the kubelet alternates between the two
    phase = "Serving" if available(deployment) else "Pending"
    updates = [accepted, started, *([key_limits] if key_limits else [])]
    without = (
        *((KEY_LIMITS_VALID,) if accepted.ok and key_limits is None else ()),
        *((RECONCILING,) if phase == "Serving" else ()),
    )
    conditions = merged(run.status.conditions, updates, generation=generation, now=timestamp(now), without=without)
    new: Object = {"phase": phase, "conditions": conditions}
    if deployment is not None:
        server = deployment["metadata"]["name"]
        new |= {"deploymentName": server, "serviceName": server}
    return new


def status_while_draining(run: AgentRun, its_pods: Sequence[Object], now: datetime) -> Object:
    """Return the whole status of a server run that is being removed, with the number of pods that still finish."""
    text = f"the web endpoint was disabled; {len(its_pods)} of its pods may still finish accepted requests"
    update = ConditionUpdate("Started", ok=False, reason="Draining", message=text)
    conditions = merged(run.status.conditions, [update], generation=run.metadata.generation, now=timestamp(now))
    return {"phase": "Pending", "conditions": conditions}


def _started(deployment: Object | None, its_pods: Sequence[Object], now: datetime) -> ConditionUpdate:
    """Return the condition Started: whether the newest pods run. It counts for a serving run too, because a rollout may hang."""
    if deployment is not None and settled(deployment):
        return ConditionUpdate("Started", ok=True, reason="Available")
    for pod in sorted(its_pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True):
        age = (now - created_at(pod)).total_seconds()
        failure = pod_status.start_failure(pod, age=age, patience=0, nodes=(), warning=None) or pod_status.crash(pod)
        if failure is not None:
            return ConditionUpdate("Started", ok=False, reason=failure.reason, message=failure.message)
    conditions = ((deployment or {}).get("status") or {}).get("conditions") or []
    denied = next((c for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True"), None)
    if denied:
        return ConditionUpdate("Started", ok=False, reason=denied["reason"], message=denied.get("message", ""))
    return ConditionUpdate("Started", ok=False, reason="Starting", message="the pods are starting")


def _refused(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate("Accepted", ok=False, reason=reason, message=message)
