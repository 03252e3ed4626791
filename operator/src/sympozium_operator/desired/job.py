"""The Job of a run: one fresh pod without rights, secrets in its environment or anything that a user wrote (rule 3)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sympozium_api import effective, environment, names
from sympozium_api.base import owner_reference
from sympozium_api.client.resources import JOBS
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_operator.desired import access, parts

Object = dict[str, Any]

CONTAINER = "agent"

_PLAUSIBLE_URL = re.compile(r"http://(\[[0-9a-fA-F:]{2,39}\]|[0-9A-Za-z.-]{1,253})(:[0-9]{1,5})?")
_TOKEN_SECONDS = 3600
_STOP_SECONDS = 5


@dataclass(frozen=True)
class AgentPod:
    """What the installation says about agent pods."""

    image: str
    pull_policy: str
    resources: Object
    runs_url: str
    """The runs surface for runs whose instance has none of its own."""
    template: Object = field(default_factory=dict)
    """Labels, annotations and scheduling fields, as a part of a pod template."""


def build(run: AgentRun, instance: SympoziumInstance, agent: AgentPod, *, served: bool, deadline: int) -> Object:
    """The Job. ``served``: the instance has a web endpoint; ``deadline``: seconds that the Job may be active."""
    labels = names.labels(access.AGENT_COMPONENT, instance=instance.metadata.name, run=run.metadata.name)
    name = names.job(run.metadata.name, run.metadata.uid)
    own_address = effective.model(instance, run).base_url != effective.model(instance).base_url
    return parts.head(JOBS, name, run.metadata.namespace, labels=labels, owner=owner_reference(run)) | {
        "spec": {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": deadline,
            "template": parts.template(
                labels | ({names.LABEL_MODEL: names.OWN_MODEL} if own_address else {}),
                _pod(run, instance, agent, served=served),
                installation=agent.template,
            ),
        }
    }


def runs_urls(run: AgentRun, runs_url: str, *, served: bool) -> Sequence[str]:
    """Where the pod finds a runs surface: the caller's own replica first, then any replica, then the installation's."""
    reply_to = run.metadata.annotations.get(names.ANNOTATION_REPLY_TO, "").rstrip("/")
    service = names.server(names.web_endpoint_run(run.spec.agent_ref))
    return [
        *([reply_to] if _PLAUSIBLE_URL.fullmatch(reply_to) else []),
        *([f"http://{service}.{run.metadata.namespace}.svc:{names.RUNS_PORT}"] if served else []),
        runs_url,
    ]


def _pod(run: AgentRun, instance: SympoziumInstance, agent: AgentPod, *, served: bool) -> Object:
    volumes = [_token(), *parts.provider_key(effective.model(instance, run))]
    return {
        "restartPolicy": "Never",
        "serviceAccountName": names.agent_service_account(instance.metadata.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _STOP_SECONDS,
        "securityContext": parts.pod_security(),
        **parts.pull_secrets(instance),
        "containers": [
            {
                "name": CONTAINER,
                "image": agent.image,
                "imagePullPolicy": agent.pull_policy,
                "command": list(environment.AGENT_COMMAND),
                "env": parts.variables(
                    [
                        (environment.RUN, run.metadata.name),
                        (environment.RUNS_URLS, ",".join(runs_urls(run, agent.runs_url, served=served))),
                    ]
                ),
                "resources": agent.resources,
                "securityContext": parts.container_security(),
                "terminationMessagePath": environment.TERMINATION_MESSAGE_FILE,
                "terminationMessagePolicy": "File",
                "volumeMounts": [
                    {"name": volume["name"], "mountPath": _folders()[volume["name"]], "readOnly": True}
                    for volume in volumes
                ],
            }
        ],
        "volumes": volumes,
    }


def _folders() -> dict[str, str]:
    return {
        "runs-token": str(PurePosixPath(environment.RUNS_TOKEN_FILE).parent),
        parts.PROVIDER_VOLUME: parts.PROVIDER_DIR,
    }


def _token() -> Object:
    """A token that only the runs surface accepts; the API server does not."""
    source = {
        "audience": names.RUNS_AUDIENCE,
        "expirationSeconds": _TOKEN_SECONDS,
        "path": PurePosixPath(environment.RUNS_TOKEN_FILE).name,
    }
    return {
        "name": "runs-token",
        "projected": {"defaultMode": parts.READABLE, "sources": [{"serviceAccountToken": source}]},
    }
