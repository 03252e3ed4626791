"""Job of a run: one fresh pod without rights, without secrets in its environment or anything that a user wrote (rule 3).

The Job of a warm pool is the same, except that its pod does not know its run yet.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sympozium_api import effective, environment, names
from sympozium_api.base import owner_reference
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import RunModels
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import JOBS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.desired import pod_parts, rbac

CONTAINER = "agent"

_TOKEN_SECONDS = 3600
_STOP_SECONDS = 5


@dataclass(frozen=True)
class AgentPod:
    """Settings of the installation for agent pods."""

    image: str
    pull_policy: str
    resources: Object
    runs_url: str
    """URL of the agent API for runs whose instance has no web endpoint."""
    template: Object = field(default_factory=dict)
    """Labels, annotations and scheduling fields, as a part of a pod template."""
    placement: str = ""
    """Placement of the pods before admission."""
    guard_url: str = ""
    """URL of the egress guard, through which models outside the cluster are called; empty: they are called directly."""

    @property
    def guard(self) -> list[tuple[str, str]]:
        """The variable that names the guard, if egress is guarded."""
        return [(environment.EGRESS_GUARD, self.guard_url)] if self.guard_url else []


@dataclass(frozen=True)
class IdlePodInput:
    """Values beside the instance from which an idle pod is made."""

    ttl: int
    """Seconds for which the pod waits for a run."""
    secret_version: str = ""
    """Resource version of the Secret with the model's key: pods made with an older one are replaced."""
    models: Sequence[ResolvedModel] = ()
    """Models that the operator resolved: pods made for others, or with older keys, are replaced."""


def build(
    run: AgentRun,
    instance: SympoziumInstance,
    agent: AgentPod,
    *,
    served: bool,
    deadline: int,
    models: RunModels | None = None,
) -> Object:
    """Return the Job of a run. ``served``: the instance has a web endpoint; ``deadline``: seconds that the Job may be active.

    ``models``: those that the run asks; None: no Provider has any of them.
    """
    labels = names.labels(rbac.AGENT_COMPONENT, instance=instance.metadata.name, run=run.metadata.name)
    name = names.job(run.metadata.name, run.metadata.uid)
    models = models or RunModels.plain(run, instance)
    volumes = pod_parts.key_volumes(effective.model(instance, run), models.targets)
    variables = [
        (environment.RUN, run.metadata.name),
        (environment.RUNS_URLS, ",".join(runs_urls(run, agent.runs_url, served=served))),
        *agent.guard,
    ]
    template = pod_parts.template(
        labels | ({names.LABEL_MODEL: names.OWN_MODEL} if models.is_elsewhere else {}),
        _pod(instance, agent, volumes, variables),
        installation=agent.template,
    )
    head = pod_parts.head(JOBS, name, run.metadata.namespace, labels=labels, owner=owner_reference(run))
    return _job(head, agent, template, deadline=deadline)


def build_idle(instance: SympoziumInstance, agent: AgentPod, idle: IdlePodInput, token: str) -> Object:
    """Return a Job of the instance's warm pool. ``token``: 6 random hexadecimal digits."""
    labels = names.labels(rbac.AGENT_COMPONENT, instance=instance.metadata.name)
    name = names.idle_job(instance.metadata.name, generation(instance, agent, idle), token)
    head = pod_parts.head(
        JOBS,
        name,
        instance.metadata.namespace,
        labels=labels | {names.LABEL_WARM: names.IDLE},
        owner=owner_reference(instance),
    )
    # A pod that claims the longest run at the end of its wait still ends before this; an adopted Job gets a deadline of its own.
    deadline = 2 * idle.ttl + 24 * 3600
    return _job(head, agent, _idle_template(instance, agent, idle), deadline=deadline)


def generation(instance: SympoziumInstance, agent: AgentPod, idle: IdlePodInput) -> str:
    """Return the hash of all that the idle pods of an instance are made from and warmed up for. Pods with another hash are replaced."""
    base_url = idle.models[0].base_url if idle.models else effective.model(instance).base_url
    prospect: list[object] = [base_url, instance.spec.agents.default.env]
    prospect += [[model.base_url, model.version] for model in idle.models]
    made_from = json.dumps([_idle_template(instance, agent, idle), idle.secret_version, prospect], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()[:8]


def has_placement_of(job: Object, agent: AgentPod) -> bool:
    """Return whether a Job was made from a pod template with the placement of the current one."""
    annotations = job["metadata"].get("annotations") or {}
    return bool(annotations.get(names.ANNOTATION_PLACEMENT) == agent.placement)


def adoption(run: AgentRun, *, deadline: int) -> Object:
    """Return the merge patch that makes a claimed Job a run's. ``deadline``: seconds that the Job may be active in all."""
    return {
        "metadata": {
            "labels": {names.LABEL_WARM: names.CLAIMED, names.LABEL_RUN: run.metadata.name},
            "ownerReferences": [owner_reference(run)],
        },
        "spec": {"activeDeadlineSeconds": deadline},
    }


def _idle_template(instance: SympoziumInstance, agent: AgentPod, idle: IdlePodInput) -> Object:
    service = f"http://{_service(instance.metadata.name)}.{instance.metadata.namespace}.svc:{names.RUNS_PORT}"
    variables = [
        (environment.INSTANCE, instance.metadata.name),
        (environment.IDLE_TTL, str(idle.ttl)),
        (environment.RUNS_URLS, f"{service},{agent.runs_url}"),
        *agent.guard,
    ]
    labels = names.labels(rbac.AGENT_COMPONENT, instance=instance.metadata.name)
    keys = pod_parts.key_volumes(effective.model(instance), idle.models)
    pod = _pod(instance, agent, keys, variables)
    return pod_parts.template(labels, pod, installation=agent.template)


def _job(head: Object, agent: AgentPod, template: Object, *, deadline: int) -> Object:
    spec = {
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "completions": 1,
        "parallelism": 1,
        "activeDeadlineSeconds": deadline,
        "template": template,
    }
    annotations = {names.ANNOTATION_PLACEMENT: agent.placement}
    return head | {"metadata": head["metadata"] | {"annotations": annotations}, "spec": spec}


def runs_urls(run: AgentRun, runs_url: str, *, served: bool) -> Sequence[str]:
    """Return the agent API's URLs for a pod: the caller's own replica first, then any replica, then the installation's."""
    reply_to = effective.reply_to(run)
    service = _service(run.spec.agent_ref)
    return [
        *([reply_to] if reply_to else []),
        *([f"http://{service}.{run.metadata.namespace}.svc:{names.RUNS_PORT}"] if served else []),
        runs_url,
    ]


def _service(instance: str) -> str:
    return names.server(names.web_endpoint_run(instance))


def _pod(
    instance: SympoziumInstance, agent: AgentPod, keys: Mapping[str, Object], variables: Sequence[tuple[str, str]]
) -> Object:
    """Return a pod. ``keys``: the volumes with credentials, by the folder at which each is mounted."""
    volumes = {str(PurePosixPath(environment.RUNS_TOKEN_FILE).parent): _token(), **keys}
    return {
        "restartPolicy": "Never",
        "serviceAccountName": names.agent_service_account(instance.metadata.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _STOP_SECONDS,
        "securityContext": pod_parts.pod_security(),
        **pod_parts.pull_secrets(instance),
        "containers": [
            {
                "name": CONTAINER,
                "image": agent.image,
                "imagePullPolicy": agent.pull_policy,
                "command": list(environment.AGENT_COMMAND),
                "env": pod_parts.variables(variables),
                "resources": agent.resources,
                "securityContext": pod_parts.container_security(),
                "terminationMessagePath": environment.TERMINATION_MESSAGE_FILE,
                "terminationMessagePolicy": "File",
                "volumeMounts": [
                    {"name": volume["name"], "mountPath": folder, "readOnly": True}
                    for folder, volume in volumes.items()
                ],
            }
        ],
        "volumes": list(volumes.values()),
    }


def _token() -> Object:
    """Return a volume with a token that only the agent API accepts; the API server does not."""
    source = {
        "audience": names.RUNS_AUDIENCE,
        "expirationSeconds": _TOKEN_SECONDS,
        "path": PurePosixPath(environment.RUNS_TOKEN_FILE).name,
    }
    return {
        "name": "runs-token",
        "projected": {"defaultMode": pod_parts.READABLE, "sources": [{"serviceAccountToken": source}]},
    }
