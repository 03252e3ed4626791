"""An AgentRun in mode server: what it needs, and what its status should say. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sympozium_api import effective, environment, names
from sympozium_api.clock import parsed, timestamp
from sympozium_api.effective import InvalidSpec
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import Sidecar, SkillPack
from sympozium_operator.policy import pods
from sympozium_operator.policy.conditions import Finding, find, merged
from sympozium_operator.policy.instance import pack_finding

Object = dict[str, Any]

POLL = 3.0
"""Seconds between looks at a server that is not available: its pods are not watched."""


@dataclass(frozen=True)
class Input:
    """All that the decision may look at."""

    run: AgentRun
    instance: SympoziumInstance | None
    pack: SkillPack | None = None
    own_keys: Object | None = None
    """The Secret that the instance names for its API keys, if it names one and it is there."""


@dataclass(frozen=True)
class Plan:
    """What the server is to be made from."""

    instance: SympoziumInstance
    sidecar: Sidecar
    replicas: int
    keys_secret: str
    generate_key: bool
    """Whether the operator makes that Secret."""


def decide(seen: Input) -> Plan | Finding | None:  # noqa: PLR0911 - one line per rule, in the order in which they count
    """What to make; or why what is there stays as it is; or None: there is nothing to do or to say."""
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
        return None  # the instance's reconcile is about to delete the run
    if unusable := pack_finding(seen.pack):
        return unusable
    sidecar = seen.pack.spec.sidecar if seen.pack else None
    if sidecar is None:
        return None
    if endpoint.auth_secret_ref and (wrong := _keys_trouble(endpoint.auth_secret_ref, seen.own_keys)):
        return wrong
    keys = endpoint.auth_secret_ref or names.api_key_secret(run.metadata.name)
    return Plan(instance, sidecar, endpoint.replicas, keys, generate_key=endpoint.auth_secret_ref is None)


def has_api_key(secret: Object) -> bool:
    """Whether a Secret holds at least one API key."""
    return any(key.startswith(environment.API_KEY_PREFIX) for key in secret.get("data") or {})


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
    run: AgentRun, accepted: Finding, deployment: Object | None, its_pods: Iterable[Object], now: datetime
) -> Object:
    """The whole status of a server run."""
    before = find(run.status.conditions, "Started")
    started = _started(deployment, list(its_pods), now)
    if started.reason == "ErrImagePull" and before is not None and before.reason == "ImagePullBackOff":
        started = Finding("Started", ok=False, reason=before.reason, message=before.message)  # the two take turns
    conditions = merged(
        run.status.conditions, [accepted, started], generation=run.metadata.generation, now=timestamp(now)
    )
    found: Object = {"phase": "Serving" if available(deployment) else "Pending", "conditions": conditions}
    if deployment is not None:
        server = deployment["metadata"]["name"]
        found |= {"deploymentName": server, "serviceName": server}
    return found


def _started(deployment: Object | None, its_pods: list[Object], now: datetime) -> Finding:
    """Whether the newest pods run; said of a server that answers as well: a rollout may hang behind it."""
    if deployment is not None and settled(deployment):
        return Finding("Started", ok=True, reason="Available")
    for pod in sorted(its_pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True):
        age = (now - parsed(pod["metadata"]["creationTimestamp"])).total_seconds()
        if found := pods.trouble(pod, age=age, patience=0, nodes=(), warning=None) or pods.crash(pod):
            return Finding("Started", ok=False, reason=found.reason, message=found.message)
    conditions = ((deployment or {}).get("status") or {}).get("conditions") or []
    denied = next((c for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True"), None)
    if denied:
        return Finding("Started", ok=False, reason=denied["reason"], message=denied.get("message", ""))
    return Finding("Started", ok=False, reason="Starting", message="its pods are starting")


def _keys_trouble(name: str, secret: Object | None) -> Finding | None:
    if secret is None:
        return _refused("AuthSecretNotFound", f"there is no Secret {name} with API keys")
    if not has_api_key(secret):
        text = f"the Secret {name} has no key whose name begins with {environment.API_KEY_PREFIX}"
        return _refused("AuthSecretKeyNotFound", text)
    return None


def _refused(reason: str, message: str) -> Finding:
    return Finding("Accepted", ok=False, reason=reason, message=message)
