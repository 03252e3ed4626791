"""An AgentRun in mode server: what it needs, and what its status should say. Pure functions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sympozium_api import effective, names
from sympozium_api.effective import InvalidSpec
from sympozium_api.instance import Autoscaling, SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import Sidecar, SkillPack
from sympozium_api.timestamps import parsed, timestamp
from sympozium_operator.policy import pod_status
from sympozium_operator.policy.conditions import ConditionUpdate, find, merged
from sympozium_operator.policy.instance_plan import keys_finding, owns, pack_finding

_OVERDUE = timedelta(seconds=30)
"""A pod that is still there so long after its grace period is one of a node that is away."""

POLL = 3.0
"""Seconds between looks at a server that is not available: its pods are not watched."""


@dataclass(frozen=True)
class ServerInput:
    """All that the decision may look at."""

    run: AgentRun
    instance: SympoziumInstance | None
    pack: SkillPack | None = None
    own_keys: Object | None = None
    """The Secret that the instance names for its API keys, if it names one and it is there."""


@dataclass(frozen=True)
class ServerPlan:
    """What the server is to be made from."""

    instance: SympoziumInstance
    sidecar: Sidecar
    replicas: int
    """How many; with ``autoscaling``, how many at least."""
    autoscaling: Autoscaling | None
    keys_secret: str


@dataclass(frozen=True)
class Drain:
    """The server is not wanted any more: its pods end what they have accepted, and then all of it goes."""


def decide(seen: ServerInput) -> ServerPlan | Drain | ConditionUpdate | None:  # noqa: PLR0911 - one line per rule, in the order in which they count
    """What to make; or that it is to go; or why what is there stays as it is; or None: there is nothing to do or to say."""
    run, instance = seen.run, seen.instance
    if instance is None:
        return _refused("InstanceNotFound", f"there is no SympoziumInstance {run.spec.agent_ref}")
    if run.metadata.name != names.web_endpoint_run(run.spec.agent_ref):
        return _refused("NotTheWebEndpoint", "runs in mode server are made by the operator, one per instance")
    try:
        effective.refuse_unsupported(instance)
        endpoint = effective.web_endpoint(instance)
    except InvalidSpec as error:
        return _refused("InvalidSpec", str(error))
    if endpoint is None:
        return Drain() if owns(instance, run) else None
    if unusable := pack_finding(seen.pack):
        return unusable
    sidecar = seen.pack.spec.sidecar if seen.pack else None
    if sidecar is None:
        return None
    if endpoint.auth_secret_ref and (wrong := keys_finding(endpoint.auth_secret_ref, seen.own_keys)):
        return wrong
    keys = endpoint.auth_secret_ref or names.api_key_secret(run.metadata.name)
    return ServerPlan(instance, sidecar, endpoint.replicas, endpoint.autoscaling, keys)


def replicas(plan: ServerPlan, deployment: Object | None) -> int:
    """How many replicas the Deployment is given: with autoscaling those that it has, for the autoscaler alone changes them.

    They are said all the same: a field that nobody applies any more would fall back to its default, one.
    """
    if plan.autoscaling is None or deployment is None:
        return plan.replicas
    there: int = deployment["spec"].get("replicas", 1)
    return min(max(plan.replicas, there), plan.autoscaling.max_replicas)


def has_older_keys(deployment: Object, version: str) -> bool:
    """Whether the Secret with the API keys has changed since its pods were told."""
    annotations = deployment["metadata"].get("annotations") or {}
    return bool(annotations.get(names.ANNOTATION_KEYS_VERSION) != version)


def draining(its_pods: Iterable[Object], now: datetime) -> list[Object]:
    """The pods that still may end what they have accepted: those whose grace period (and a little) is not over."""
    return [
        pod
        for pod in its_pods
        if not (until := pod["metadata"].get("deletionTimestamp")) or now < parsed(until) + _OVERDUE
    ]


def available(deployment: Object | None) -> bool:
    """Whether a Deployment answers."""
    conditions = ((deployment or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)


def settled(deployment: Object) -> bool:
    """Whether all of a Deployment's replicas are as it wants them."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return seen and counts == [wanted] * 3


def status(
    run: AgentRun, accepted: ConditionUpdate, deployment: Object | None, its_pods: Sequence[Object], now: datetime
) -> Object:
    """The whole status of a server run."""
    before = find(run.status.conditions, "Started")
    started = _started(deployment, its_pods, now)
    if started.reason == "ErrImagePull" and before is not None and before.reason == "ImagePullBackOff":
        started = ConditionUpdate(
            "Started", ok=False, reason=before.reason, message=before.message
        )  # the two take turns
    phase = "Serving" if available(deployment) else "Pending"
    found: Object = {"phase": phase, "conditions": _conditions(run, [accepted, started], now)}
    if deployment is not None:
        server = deployment["metadata"]["name"]
        found |= {"deploymentName": server, "serviceName": server}
    return found


def status_while_draining(run: AgentRun, its_pods: Sequence[Object], now: datetime) -> Object:
    """The whole status of a server run that is to go, with the pods that it waits for."""
    text = f"it was switched off; {len(its_pods)} of its pods may still finish what they have accepted"
    finding = ConditionUpdate("Started", ok=False, reason="Draining", message=text)
    return {"phase": "Pending", "conditions": _conditions(run, [finding], now)}


def _conditions(run: AgentRun, findings: list[ConditionUpdate], now: datetime) -> list[Object]:
    return merged(run.status.conditions, findings, generation=run.metadata.generation, now=timestamp(now))


def _started(deployment: Object | None, its_pods: Sequence[Object], now: datetime) -> ConditionUpdate:
    """Whether the newest pods run; said of a server that answers as well: a rollout may hang behind it."""
    if deployment is not None and settled(deployment):
        return ConditionUpdate("Started", ok=True, reason="Available")
    for pod in sorted(its_pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True):
        age = (now - parsed(pod["metadata"]["creationTimestamp"])).total_seconds()
        if found := pod_status.trouble(pod, age=age, patience=0, nodes=(), warning=None) or pod_status.crash(pod):
            return ConditionUpdate("Started", ok=False, reason=found.reason, message=found.message)
    conditions = ((deployment or {}).get("status") or {}).get("conditions") or []
    denied = next((c for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True"), None)
    if denied:
        return ConditionUpdate("Started", ok=False, reason=denied["reason"], message=denied.get("message", ""))
    return ConditionUpdate("Started", ok=False, reason="Starting", message="its pods are starting")


def _refused(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate("Accepted", ok=False, reason=reason, message=message)
