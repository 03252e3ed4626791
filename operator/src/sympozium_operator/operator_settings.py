"""Every setting of the operator, read from the environment once. What is invalid is refused with the variable's name."""

import json
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sympozium_api import environment
from sympozium_api.base import seconds
from sympozium_api.client.auth import SERVICE_ACCOUNT
from sympozium_api.names import DNS_LABEL, RUNS_PORT
from sympozium_operator.desired.quantity import InvalidQuantity, quantity

T = TypeVar("T")

DEFAULT_NAMESPACE = "sympozium-system"
_POD_TEMPLATE = {
    "metadata": {"labels", "annotations"},
    "spec": {"nodeSelector", "tolerations", "affinity", "priorityClassName"},
}
"""What an installation may say about pods that the operator makes; all else is decided by rules."""

DEFAULT_AGENT_RESOURCES = '{"requests":{"cpu":"50m","memory":"64Mi"},"limits":{"cpu":"1","memory":"256Mi"}}'


class InvalidSetting(ValueError):
    """A variable of the environment that cannot be used; the message names it and what would be right."""


@dataclass(frozen=True)
class OperatorSettings:
    """What one operator process was told. Durations are seconds."""

    namespace: str
    """The operator's own namespace: its Lease and the built-in SkillPacks are there."""
    identity: str
    """Who this replica is in the Lease: its pod's name."""
    watch_namespaces: tuple[str, ...]
    """The only namespaces that are served; empty: all of them."""
    agent_image: str
    """The image of agent pods."""
    image_pull_policy: str
    """When nodes pull the images of agents and servers."""
    agent_resources: dict[str, Any]
    """Requests and limits of the agent's container: little, or requests, not work, fill the node."""
    agent_pod: dict[str, Any]
    """Labels, annotations and scheduling fields of agent pods, as a part of a pod template."""
    web_proxy_pod: dict[str, Any]
    """The same for the pods of web-proxies."""
    network_policies: bool
    """Whether agents and web-proxies get NetworkPolicies."""
    extra_agent_egress: tuple[dict[str, Any], ...]
    """NetworkPolicyEgressRules: what agents may reach beside their model and their web-proxy."""
    runs_url: str
    """The runs surface that serves runs whose instance has none of its own."""
    start_timeout: int
    """How long a pod may take to find a node and get its container made before its run fails."""
    failed_job_retention: int
    """How long the Job of a failed run is kept, for ``kubectl logs``."""
    run_retention: int
    """How long an AgentRun is kept after its end."""
    runs_kept: int
    """How many ended AgentRuns are kept per instance at most."""
    instance_resync: int
    """How often every instance is looked at without an event: repairs what was missed, as while no replica watched."""
    run_resync: int
    """How often every run that has not ended is looked at without an event."""
    refill_rate: int
    """Idle pods of warm pools made per second at most, of all instances."""
    workers: int
    """Reconciles at the same time."""
    metrics_port: int
    """Port of /metrics and /healthz."""
    tracing_endpoint: str
    """OTLP/HTTP endpoint that web-proxies export spans to; empty: none."""
    tracing_sample_ratio: float
    """Which share of the requests is recorded that come without a trace of their caller's."""
    log_level: str
    """The least severe level that is logged."""

    @property
    def scopes(self) -> tuple[str | None, ...]:
        """The namespaces to list, or None for all at once."""
        return self.watch_namespaces or (None,)


def from_environment(variables: Mapping[str, str] = os.environ) -> OperatorSettings:
    """The settings of this process; raises InvalidSetting."""

    def read(name: str, default: str, parse: Callable[[str], T]) -> T:
        text = variables.get(name) or default
        try:
            return parse(text)
        except ValueError as error:
            raise InvalidSetting(f"{name}: {text!r} {error}") from error

    namespace = variables.get(environment.NAMESPACE) or _own_namespace()
    runs_url = f"http://sympozium-runs.{namespace}.svc:{RUNS_PORT}"
    return OperatorSettings(
        namespace=namespace,
        identity=variables.get(environment.POD_NAME) or f"{socket.gethostname()}-{os.getpid()}",
        watch_namespaces=read("SYMPOZIUM_WATCH_NAMESPACES", "", _namespaces),
        agent_image=read("SYMPOZIUM_AGENT_IMAGE", "", _required),
        image_pull_policy=read(
            "SYMPOZIUM_IMAGE_PULL_POLICY", "IfNotPresent", _one_of("Always", "IfNotPresent", "Never")
        ),
        agent_resources=read("SYMPOZIUM_AGENT_RESOURCES", DEFAULT_AGENT_RESOURCES, _resources),
        agent_pod=read("SYMPOZIUM_AGENT_POD", "{}", _pod_template),
        web_proxy_pod=read("SYMPOZIUM_WEB_PROXY_POD", "{}", _pod_template),
        network_policies=read("SYMPOZIUM_NETWORK_POLICIES", "true", _one_of("true", "false")) == "true",
        extra_agent_egress=read("SYMPOZIUM_EXTRA_AGENT_EGRESS", "[]", _egress_rules),
        runs_url=read("SYMPOZIUM_RUNS_URL", runs_url, _url),
        start_timeout=read("SYMPOZIUM_START_TIMEOUT", "45s", _duration),
        failed_job_retention=read("SYMPOZIUM_FAILED_JOB_RETENTION", "10m", _duration),
        run_retention=read("SYMPOZIUM_RUN_RETENTION", "24h", _duration),
        runs_kept=read("SYMPOZIUM_RUNS_KEPT", "1000", _between(1, 100_000)),
        instance_resync=read("SYMPOZIUM_INSTANCE_RESYNC", "30s", _duration),
        run_resync=read("SYMPOZIUM_RUN_RESYNC", "1m", _duration),
        refill_rate=read("SYMPOZIUM_REFILL_RATE", "3", _between(1, 1000)),
        workers=read("SYMPOZIUM_WORKERS", "16", _between(1, 256)),
        metrics_port=read("SYMPOZIUM_METRICS_PORT", "9090", _between(1, 65535)),
        tracing_endpoint=read("SYMPOZIUM_TRACING_ENDPOINT", "", _url_or_none),
        tracing_sample_ratio=read("SYMPOZIUM_TRACING_SAMPLE_RATIO", "1", _ratio),
        log_level=read("SYMPOZIUM_LOG_LEVEL", "info", _one_of("debug", "info", "warning", "error")),
    )


def _own_namespace(file: Path = SERVICE_ACCOUNT / "namespace") -> str:
    return file.read_text().strip() if file.exists() else DEFAULT_NAMESPACE


def _required(text: str) -> str:
    if not text:
        raise ValueError("is needed")
    return text


def _namespaces(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in found:
        if not re.fullmatch(DNS_LABEL, name):
            raise ValueError("is not a comma-separated list of namespaces")
    return found


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return text

    return parse


def _between(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _duration(text: str) -> int:
    found = re.fullmatch(r"[0-9hms]+", text) and seconds(text)
    if not found:
        raise ValueError("is not a duration such as 90s or 1h30m")
    return found


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s,$]+", text):
        raise ValueError("is not an http URL")
    return text.rstrip("/")


def _url_or_none(text: str) -> str:
    return _url(text) if text else ""


def _ratio(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found <= 1:
        raise ValueError("is not a number from 0 to 1")
    return found


def _resources(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
        for part in ("requests", "limits"):
            for amount in found.get(part, {}).values():
                quantity(str(amount))
    except (ValueError, AttributeError, InvalidQuantity) as error:
        raise ValueError('is not JSON such as {"requests":{"cpu":"50m"},"limits":{"memory":"256Mi"}}') from error
    return {part: found[part] for part in ("requests", "limits") if part in found}


def _pod_template(text: str) -> dict[str, Any]:
    found = _json(text, dict, '{"spec":{"nodeSelector":{"pool":"agents"}}}')
    for part, fields in found.items():
        allowed = _POD_TEMPLATE.get(part, set())
        if not isinstance(fields, dict) or not allowed >= set(fields):
            raise ValueError(f"may hold in {part} only {', '.join(sorted(allowed)) or 'nothing'}")
    return found


def _egress_rules(text: str) -> tuple[dict[str, Any], ...]:
    example = '[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}]'
    found = _json(text, list, example)
    if not all(isinstance(rule, dict) and {"to", "ports"} >= set(rule) for rule in found):
        raise ValueError(f"is not JSON such as {example}")
    return tuple(found)


def _json(text: str, kind: type[T], example: str) -> T:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not JSON such as {example}") from error
    if not isinstance(found, kind):
        raise ValueError(f"is not JSON such as {example}")  # noqa: TRY004 - what settings are refused with
    return found
