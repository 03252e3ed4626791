"""Settings of the operator, read from the environment once."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sympozium_api import environment
from sympozium_api.client.auth import SERVICE_ACCOUNT
from sympozium_api.effective import InvalidSpec, refuse_bad_hostname
from sympozium_api.names import DNS_LABEL, RUNS_PORT
from sympozium_api.operator_lease import MOST_SHARDS
from sympozium_api.resources import Object
from sympozium_api.retention import Retention
from sympozium_api.retention_settings import read_retention
from sympozium_api.settings_parser import (
    SettingsParser,
    boolean,
    duration,
    http_url,
    json_like,
    namespaces,
    number,
    one_of,
    optional,
    whole_number,
)
from sympozium_operator.desired.quantity import InvalidQuantity, quantity
from sympozium_operator.desired.surface_route import Surface

DEFAULT_NAMESPACE = "sympozium-system"
_POD_TEMPLATE = {
    "metadata": {"labels", "annotations"},
    "spec": {"nodeSelector", "tolerations", "affinity", "priorityClassName"},
}
"""Parts of a pod template that an installation may set; the operator decides the rest."""

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
DEFAULT_AGENT_RESOURCES = '{"requests":{"cpu":"50m","memory":"64Mi"},"limits":{"cpu":"1","memory":"256Mi"}}'


@dataclass(frozen=True)
class OperatorSettings:
    """Settings of one operator process. Durations are seconds."""

    namespace: str
    """Namespace of the operator, of its Lease and of the built-in SkillPacks."""
    identity: str
    """Name of this replica in the Lease: its pod's name."""
    watch_namespaces: tuple[str, ...]
    """Namespaces that the operator serves; empty: all."""
    agent_image: str
    """Image of agent pods."""
    image_pull_policy: str
    """``imagePullPolicy`` of agents and web-proxies."""
    agent_resources: Object
    """Requests and limits of the agent's container. They are small, because otherwise requests instead of work fill a node."""
    agent_pod: Object
    """Labels, annotations and scheduling fields of agent pods, as a part of a pod template."""
    web_proxy_pod: Object
    """Labels, annotations and scheduling fields of web-proxy pods, as a part of a pod template."""
    network_policies: bool
    """True if agents and web-proxies get NetworkPolicies."""
    extra_agent_egress: tuple[Object, ...]
    """NetworkPolicyEgressRules for what agents may reach besides their model and their web-proxy."""
    runs_url: str
    """URL of the agent API for runs whose instance has no web endpoint."""
    egress_url: str
    """Base URL of the egress guard, which carries out tool calls; empty: the installation has none."""
    guarded_egress: bool
    """True if agents call models outside the cluster through the egress guard only."""
    start_timeout: int
    """Time in which the container of a pod with a node must be created, or its run fails."""
    queue_timeout: int
    """Time in which a run must start (its turn, and a node for its pod), or it fails, unless its instance has another."""
    pending_pods: int
    """Most pods of one placement that wait for a node while more runs wait."""
    failed_job_retention: int
    """Time for which the Job of a failed run is kept for ``kubectl logs``."""
    retention: Retention
    """Bounds of the ended AgentRuns."""
    has_archive: bool
    """True if the console archives ended AgentRuns and deletes them by ``retention``; the operator then keeps the cluster's bounds."""
    instance_resync: int
    """Interval in which every instance is reconciled once without an event, although watches and polls show what changes."""
    provider_check_interval: int
    """Interval at which the egress guard calls a Provider that answers, with one token."""
    run_resync: int
    """Interval at which every run that has not ended is reconciled without an event."""
    refill_rate: int
    """Most idle pods made per second, over the warm pools of all instances."""
    workers: int
    """Most reconciles at the same time."""
    metrics_port: int
    """Port of /metrics and /healthz."""
    metrics_on_http: bool
    """True if web-proxies have /metrics at port 8080 too, as before 0.3.0."""
    console_token_secret: str
    """Secret of the console's token, which the operator generates; empty: the token comes from elsewhere."""
    console_keys_secret: str
    """Secret of the console's own keys, which the operator generates; empty: they come from elsewhere."""
    platform_secret: str
    """Secret of the agent platform's tokens, which the operator generates; empty: it comes from elsewhere, or the API is off."""
    surfaces: tuple[Surface, ...]
    """APIs of the installation that have a host name at the SympoziumConfig's gateway."""
    tracing_endpoint: str
    """OTLP/HTTP endpoint to which web-proxies export spans; empty: none."""
    tracing_sample_ratio: float
    """Share of requests without a caller's trace that is recorded, from 0 to 1."""
    shards: int
    """Number of shards that the operators divide among themselves, the same in all of them."""
    log_level: str
    """Least severe level that is logged."""

    @property
    def scopes(self) -> tuple[str | None, ...]:
        """Return the namespaces to list, or None for all at once."""
        return self.watch_namespaces or (None,)


def from_environment(variables: Mapping[str, str] = os.environ) -> OperatorSettings:
    """Return the settings of this process. Raises InvalidSetting."""
    parser = SettingsParser(variables)
    read = parser.read
    namespace = variables.get(environment.NAMESPACE) or _own_namespace()
    runs_url = f"http://sympozium-runs.{namespace}.svc:{RUNS_PORT}"
    return OperatorSettings(
        namespace=namespace,
        identity=variables.get(environment.POD_NAME) or f"{socket.gethostname()}-{os.getpid()}",
        watch_namespaces=read(environment.WATCH_NAMESPACES, "", namespaces),
        agent_image=parser.required("SYMPOZIUM_AGENT_IMAGE"),
        image_pull_policy=read("SYMPOZIUM_IMAGE_PULL_POLICY", "IfNotPresent", one_of(*_PULL_POLICIES)),
        agent_resources=read("SYMPOZIUM_AGENT_RESOURCES", DEFAULT_AGENT_RESOURCES, _resources),
        agent_pod=read("SYMPOZIUM_AGENT_POD", "{}", _pod_template),
        web_proxy_pod=read("SYMPOZIUM_WEB_PROXY_POD", "{}", _pod_template),
        network_policies=read("SYMPOZIUM_NETWORK_POLICIES", "true", boolean),
        extra_agent_egress=read("SYMPOZIUM_EXTRA_AGENT_EGRESS", "[]", _egress_rules),
        runs_url=read("SYMPOZIUM_RUNS_URL", runs_url, http_url),
        egress_url=read("SYMPOZIUM_EGRESS_URL", "", optional(http_url)),
        guarded_egress=read("SYMPOZIUM_AGENT_EGRESS", "direct", one_of("direct", "guarded")) == "guarded",
        start_timeout=read("SYMPOZIUM_START_TIMEOUT", "45s", duration),
        queue_timeout=read("SYMPOZIUM_QUEUE_TIMEOUT", "10m", duration),
        pending_pods=read("SYMPOZIUM_PENDING_PODS", "5", whole_number(1, 1000)),
        failed_job_retention=read("SYMPOZIUM_FAILED_JOB_RETENTION", "10m", duration),
        retention=read_retention(parser),
        has_archive=read(environment.ARCHIVE_ENABLED, "false", boolean),
        instance_resync=read("SYMPOZIUM_INSTANCE_RESYNC", "15m", duration),
        provider_check_interval=read("SYMPOZIUM_PROVIDER_CHECK_INTERVAL", "10m", duration),
        run_resync=read("SYMPOZIUM_RUN_RESYNC", "1m", duration),
        refill_rate=read("SYMPOZIUM_REFILL_RATE", "3", whole_number(1, 1000)),
        workers=read("SYMPOZIUM_WORKERS", "16", whole_number(1, 256)),
        metrics_port=read("SYMPOZIUM_METRICS_PORT", "9090", whole_number(1, 65535)),
        metrics_on_http=read(environment.METRICS_ON_HTTP, "false", boolean),
        console_token_secret=read("SYMPOZIUM_CONSOLE_TOKEN_SECRET", "", optional(_name)),
        console_keys_secret=read("SYMPOZIUM_CONSOLE_KEYS_SECRET", "", optional(_name)),
        platform_secret=read("SYMPOZIUM_PLATFORM_SECRET", "", optional(_name)),
        surfaces=read("SYMPOZIUM_SURFACES", "[]", _surfaces),
        tracing_endpoint=read("SYMPOZIUM_TRACING_ENDPOINT", "", optional(http_url)),
        tracing_sample_ratio=read("SYMPOZIUM_TRACING_SAMPLE_RATIO", "1", number(0, 1)),
        shards=read("SYMPOZIUM_SHARDS", "1", whole_number(1, MOST_SHARDS)),
        log_level=read("SYMPOZIUM_LOG_LEVEL", "info", one_of("debug", "info", "warning", "error")),
    )


def _own_namespace(file: Path = SERVICE_ACCOUNT / "namespace") -> str:
    return file.read_text().strip() if file.exists() else DEFAULT_NAMESPACE


def _surfaces(text: str) -> tuple[Surface, ...]:
    example = '[{"service":"sympozium-console","port":8080,"hostname":"console.example.com"}]'
    try:
        surfaces = tuple(Surface(**surface) for surface in json_like(example, list)(text))
        for surface in surfaces:
            refuse_bad_hostname("hostname", surface.hostname)
    except (TypeError, InvalidSpec) as error:
        raise ValueError(f"is not JSON such as {example}") from error
    return surfaces


def _name(text: str) -> str:
    if not re.fullmatch(DNS_LABEL, text):
        raise ValueError("is not the name of a Secret")
    return text


def _resources(text: str) -> Object:
    example = '{"requests":{"cpu":"50m"},"limits":{"memory":"256Mi"}}'
    resources: Object = json_like(example, dict)(text)
    try:
        for part in ("requests", "limits"):
            for amount in resources.get(part, {}).values():
                quantity(str(amount))
    except (AttributeError, InvalidQuantity) as error:
        raise ValueError(f"is not JSON such as {example}") from error
    return {part: resources[part] for part in ("requests", "limits") if part in resources}


def _pod_template(text: str) -> Object:
    template: Object = json_like('{"spec":{"nodeSelector":{"pool":"agents"}}}', dict)(text)
    for part, fields in template.items():
        allowed = _POD_TEMPLATE.get(part, set())
        if not isinstance(fields, dict) or not allowed >= set(fields):
            raise ValueError(f"may hold in {part} only {', '.join(sorted(allowed)) or 'nothing'}")
    return template


def _egress_rules(text: str) -> tuple[Object, ...]:
    example = '[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}]'
    rules: list[Any] = json_like(example, list)(text)
    if not all(isinstance(rule, dict) and {"to", "ports"} >= set(rule) for rule in rules):
        raise ValueError(f"is not JSON such as {example}")
    return tuple(rules)
