"""Web-proxy of an instance: a Deployment and a Service, from the SkillPack's sidecar."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sympozium_api import effective, environment, names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import DEPLOYMENTS, SERVICES, Object
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import Sidecar
from sympozium_operator.desired import pod_parts, rbac

CONTAINER = "web-proxy"

DRAIN_SECONDS = 5
"""Seconds between a pod's removal from the endpoints and its SIGTERM, so that no request reaches a stopping web-proxy."""
STOP_MARGIN = 30
"""Seconds of the grace period beside the longest wait for an answer: draining, and the last writes."""

_RESOURCES: Object = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"cpu": "1", "memory": "384Mi"}}
_SECRETS_DIR = "/etc/sympozium/skill"


@dataclass(frozen=True)
class TraceExport:
    """Endpoint to which web-proxies export their spans, and the share of requests to sample."""

    endpoint: str
    sample_ratio: float

    @property
    def variables(self) -> list[tuple[str, str]]:
        """Return the variables that OpenTelemetry's SDK reads."""
        return [
            (environment.OTLP_ENDPOINT, self.endpoint),
            (environment.OTEL_SAMPLER, environment.OTEL_SAMPLER_BY_RATIO),
            (environment.OTEL_SAMPLER_ARG, f"{self.sample_ratio:g}"),
        ]


def build(
    run: AgentRun,
    instance: SympoziumInstance,
    sidecar: Sidecar,
    *,
    replicas: int,
    keys_secret: str,
    keys_version: str,
    pull_policy: str,
    account: str,
    session_key: str,
    longest_run: int,
    key_retention: int,
    template: Object | None = None,
    tracing: TraceExport | None = None,
    metrics_on_http: bool = False,
    models: Sequence[ResolvedModel] = (),
) -> list[Object]:
    """Return Deployment and Service of a server run.

    ``keys_secret`` holds the API keys that callers may use. ``template`` has the installation's labels, annotations and scheduling
    fields, as a part of a pod template. ``account`` is the UID of the pods' ServiceAccount: a pod's token becomes invalid with its
    account, so another account needs other pods. ``session_key`` is the UID of the Secret with the session key: a kubelet never
    reads an immutable Secret again, so another one needs other pods too. ``longest_run``: seconds that an accepted request may take,
    which the pods' grace period covers. ``key_retention``: seconds for which an Idempotency-Key stands. ``models``: those of the
    instance that the operator resolved.
    """
    name = names.server(run.metadata.name)
    variables = [
        (environment.INSTANCE, run.spec.agent_ref),
        (environment.SHUTDOWN_GRACE, f"{longest_run}s"),
        (environment.KEY_RETENTION, f"{key_retention}s"),
        *([(environment.METRICS_ON_HTTP, "true")] if metrics_on_http else ()),
        *(tracing.variables if tracing else ()),
    ]
    pod = _pod(
        run,
        instance,
        sidecar,
        keys_secret=keys_secret,
        pull_policy=pull_policy,
        longest_run=longest_run,
        variables=variables,
        models=models,
    )
    deployment = rbac.server_head(run, DEPLOYMENTS, name) | {
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": 120,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": selector(run)},
            "template": pod_parts.template(
                rbac.server_labels(run),
                pod,
                annotations={names.ANNOTATION_ACCOUNT: account, names.ANNOTATION_SESSION_KEY: session_key},
                installation=template or {},
            ),
        }
    }
    # On the Deployment and not on its template: changed keys need no new pods.
    deployment["metadata"]["annotations"] = {names.ANNOTATION_KEYS_VERSION: keys_version}
    service = rbac.server_head(run, SERVICES, name) | {
        "spec": {
            "type": "ClusterIP",
            "ipFamilyPolicy": "PreferDualStack",
            "selector": selector(run),
            "ports": [
                {"name": "http", "port": names.HTTP_PORT, "targetPort": "http", "protocol": "TCP"},
                {"name": "runs", "port": names.RUNS_PORT, "targetPort": "runs", "protocol": "TCP"},
                {"name": "metrics", "port": names.METRICS_PORT, "targetPort": "metrics", "protocol": "TCP"},
            ],
        }
    }
    return [deployment, service]


def selector(run: AgentRun) -> dict[str, str]:
    """Return the Deployment's selector, which can never be changed."""
    return {"app.kubernetes.io/component": rbac.SERVER_COMPONENT, names.LABEL_RUN: run.metadata.name}


def _pod(
    run: AgentRun,
    instance: SympoziumInstance,
    sidecar: Sidecar,
    *,
    keys_secret: str,
    pull_policy: str,
    longest_run: int,
    variables: list[tuple[str, str]],
    models: Sequence[ResolvedModel],
) -> Object:
    volumes = {
        environment.API_KEYS_DIR: {
            "name": "api-keys",
            "secret": {"secretName": keys_secret, "defaultMode": pod_parts.READABLE},
        },
        str(PurePosixPath(environment.SESSION_KEY_FILE).parent): {
            "name": "session-key",
            "secret": {
                "secretName": names.session_key_secret(run.metadata.name),
                "defaultMode": pod_parts.READABLE,
            },
        },
        "/tmp": {"name": "tmp", "emptyDir": {}},  # noqa: S108 - a volume of the pod's own
    }
    if sidecar.secret_ref:
        volumes[_SECRETS_DIR] = {
            "name": "skill",
            "secret": {"secretName": sidecar.secret_ref, "defaultMode": pod_parts.READABLE},
        }
    if instance.spec.agents.default.embedding_models:  # which the web-proxy itself calls, with the model's key
        volumes |= pod_parts.key_volumes(effective.model(instance), models[:1])
    mounts = [{"name": volume["name"], "mountPath": path} for path, volume in volumes.items()]
    return {
        "serviceAccountName": run.metadata.name,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": longest_run + STOP_MARGIN,
        "securityContext": pod_parts.pod_security(),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(run)},
            }
        ],
        **pod_parts.pull_secrets(instance),
        "containers": [_container(sidecar, mounts, pull_policy, variables)],
        "volumes": list(volumes.values()),
    }


def _container(sidecar: Sidecar, mounts: list[Object], pull_policy: str, variables: list[tuple[str, str]]) -> Object:
    return {
        "name": CONTAINER,
        "image": sidecar.image,
        "imagePullPolicy": pull_policy,
        **({"command": list(sidecar.command)} if sidecar.command else {}),
        "env": _environment(sidecar, variables),
        "ports": _ports(sidecar),
        "resources": sidecar.resources or _RESOURCES,
        "securityContext": pod_parts.container_security(),
        "volumeMounts": mounts,
        "startupProbe": _probe("/healthz", periodSeconds=1, failureThreshold=60),
        "readinessProbe": _probe("/readyz", periodSeconds=2, failureThreshold=2),
        "livenessProbe": _probe("/healthz", periodSeconds=10, failureThreshold=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
    }


def _environment(sidecar: Sidecar, variables: list[tuple[str, str]]) -> list[Object]:
    """Return the pack's variables, then those that the web-proxy needs; the operator's value wins over the pack's."""
    own: list[Object] = [
        *pod_parts.variables(variables),
        _field(environment.NAMESPACE, "metadata.namespace"),
        _field(environment.POD_NAME, "metadata.name"),
        _field(environment.POD_IP, "status.podIP"),
    ]
    taken = {variable["name"] for variable in own}
    return pod_parts.variables((name, value) for name, value in sidecar.env.items() if name not in taken) + own


def _field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _ports(sidecar: Sidecar) -> list[Object]:
    """Return the ports of every web-proxy, and the other ports that the pack names."""
    ports = {names.HTTP_PORT: "http", names.RUNS_PORT: "runs", names.METRICS_PORT: "metrics"}
    others = {p.container_port: p.name for p in sidecar.ports if p.name not in ports.values()}
    return [
        {"name": name, "containerPort": number, "protocol": "TCP"} for number, name in ({**others, **ports}).items()
    ]


def _probe(path: str, **timing: int) -> Object:
    return {"httpGet": {"path": path, "port": "http", "scheme": "HTTP"}, "timeoutSeconds": 5, **timing}
