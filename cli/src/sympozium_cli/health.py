"""Faults of an installation, each with advice. Pure: objects in, findings out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sympozium_api import names, operator_lease
from sympozium_api.api_key import APIKeySpec
from sympozium_api.base import ApiModel
from sympozium_api.config import ConfigSpec, ConfigStatus
from sympozium_api.instance import InstanceSpec, InstanceStatus
from sympozium_api.operator_lease import OPERATOR
from sympozium_api.policy import PolicySpec, PolicyStatus
from sympozium_api.provider import ProviderSpec, ProviderStatus
from sympozium_api.resources import (
    API_KEYS,
    CONFIGS,
    INSTANCES,
    POLICIES,
    PROVIDERS,
    RUN_PARTS,
    RUNS,
    SKILL_PACKS,
    TOOL_BINDINGS,
    TOOLS,
    Object,
)
from sympozium_api.run import RunSpec
from sympozium_api.run_part import AgentRunPartSpec
from sympozium_api.run_status import RunStatus
from sympozium_api.skillpack import SkillPackSpec, SkillPackStatus
from sympozium_api.tool import ToolSpec, ToolStatus
from sympozium_api.tool_binding import ToolBindingSpec, ToolBindingStatus
from sympozium_cli.api_failures import INSTALL_CRDS
from sympozium_cli.instance_states import phase_of, problem_of

State = Literal["ok", "warning", "failed", "unknown"]

UPGRADE_CRDS = INSTALL_CRDS.replace("install", "upgrade --install")
_FIELDS: dict[str, dict[str, type[ApiModel]]] = {
    INSTANCES.kind: {"spec": InstanceSpec, "status": InstanceStatus},
    RUNS.kind: {"spec": RunSpec, "status": RunStatus},
    SKILL_PACKS.kind: {"spec": SkillPackSpec, "status": SkillPackStatus},
    CONFIGS.kind: {"spec": ConfigSpec, "status": ConfigStatus},
    PROVIDERS.kind: {"spec": ProviderSpec, "status": ProviderStatus},
    POLICIES.kind: {"spec": PolicySpec, "status": PolicyStatus},
    TOOLS.kind: {"spec": ToolSpec, "status": ToolStatus},
    TOOL_BINDINGS.kind: {"spec": ToolBindingSpec, "status": ToolBindingStatus},
    API_KEYS.kind: {"spec": APIKeySpec},
    RUN_PARTS.kind: {"spec": AgentRunPartSpec},
}
_WAITING_FOR_IMAGES = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    state: State
    detail: str
    help: str = ""
    """A command, or a sentence, that helps."""


@dataclass(frozen=True)
class Right:
    """Something that the user may do, or not."""

    purpose: str
    """Commands that need it."""
    verb: str
    group: str
    resource: str
    subresource: str = ""

    def __str__(self) -> str:
        """Return the right as RBAC names it."""
        return f"{self.verb} {self.resource}" + (f"/{self.subresource}" if self.subresource else "")

    def review(self, namespace: str | None) -> Object:
        """Return the question to the API server."""
        attributes = {
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
        }
        attributes |= {} if namespace is None else {"namespace": namespace}
        return {"spec": {"resourceAttributes": attributes}}


RIGHTS = (
    Right("the terminal UI", "list", names.GROUP, INSTANCES.plural),
    Right("enable, disable", "update", names.GROUP, INSTANCES.plural),
    Right("runs", "list", names.GROUP, RUNS.plural),
    Right("run, repeat, chat", "create", names.GROUP, RUNS.plural),
    Right("cancel", "patch", names.GROUP, RUNS.plural),
    Right("key, chat token by token", "get", "", "secrets"),
    Right("chat token by token, open", "create", "", "pods", "portforward"),
    Right("logs", "get", "", "pods", "log"),
)


def kinds(schemas: Mapping[str, Any]) -> Finding:
    """Check the kinds by their schemas, as the API server's OpenAPI document has them."""
    known = {_kind(schema): schema for schema in schemas.values() if isinstance(schema, dict)}
    missing = [kind for kind in _FIELDS if kind not in known]
    if INSTANCES.kind in missing:
        return Finding("kinds", "failed", f"the cluster does not have {', '.join(missing)}", UPGRADE_CRDS)
    older = missing + [
        f"{kind}.{part}.{name}"
        for kind, parts in _FIELDS.items()
        if kind in known
        for part, model in parts.items()
        for name in _fields(model)
        if name not in known[kind]["properties"].get(part, {}).get("properties", {})
    ]
    if older:
        few = ", ".join(older[:3]) + (" ..." if len(older) > 3 else "")
        return Finding("kinds", "failed", f"they are older than this command: without {few}", UPGRADE_CRDS)
    return Finding("kinds", "ok", "they have what this command knows")


def _kind(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("x-kubernetes-group-version-kind") or [{}]
    return str(kinds[0].get("kind")) if kinds[0].get("group") == names.GROUP else ""


def _fields(model: type[ApiModel]) -> Iterable[str]:
    return (field.alias or name for name, field in model.model_fields.items())


def operator(deployment: Object | None, version: str, namespace: str) -> Finding:
    """Check the operator's Deployment, and its version against this command's ``version``."""
    if deployment is None:
        return Finding(
            "operator",
            "failed",
            f"namespace {namespace} has no Deployment {OPERATOR}",
            f"helm install sympozium charts/sympozium --namespace {namespace} --create-namespace, or --operator-namespace",
        )
    status, metadata = deployment.get("status") or {}, deployment["metadata"]
    running = (metadata.get("labels") or {}).get("app.kubernetes.io/version") or "unknown"
    if not status.get("availableReplicas"):
        logs = f"kubectl -n {namespace} describe pods -l app.kubernetes.io/component=operator"
        return Finding("operator", "failed", "none of its pods is available", logs)
    if "unknown" not in (running, version) and running != version:
        return Finding(
            "operator",
            "warning",
            f"its version is {running}, this command's {version}",
            f"pipx install 'sympozium[cli]=={running}'",
        )
    return Finding("operator", "ok", f"version {running}, {status['availableReplicas']} available")


def lease(leases: Sequence[Object | None], now: datetime, namespace: str) -> Finding:
    """Check that operators work, by the age of their leases: there is one for each shard."""
    logs = f"kubectl -n {namespace} logs deployment/{OPERATOR}"
    if fault := operator_lease.fault(leases, now):
        return Finding("lease", "failed", fault, logs)
    holders = operator_lease.holders(leases) or ["an operator"]
    shards = f" on {len(leases)} shards" if len(leases) > 1 else ""
    return Finding("lease", "ok", f"{', '.join(holders)} {'works' if len(holders) == 1 else 'work'}{shards}")


def images(pods: Iterable[Object], namespace: str) -> Finding:
    """Check that no pod of the installation waits for its image."""
    waiting = [
        f"{pod['metadata']['name']}: {container.get('image')} ({reason})"
        for pod in pods
        for container in (pod.get("status") or {}).get("containerStatuses") or ()
        if (reason := ((container.get("state") or {}).get("waiting") or {}).get("reason")) in _WAITING_FOR_IMAGES
    ]
    if waiting:
        helps = f"kubectl -n {namespace} describe pods; chart values image.*, imagePullSecrets"
        return Finding("images", "failed", "; ".join(waiting), helps)
    return Finding("images", "ok", f"all pulled in namespace {namespace}")


def gateway(config: Object | None, namespace: str) -> Finding:
    """Check the gateway, if the installation has one."""
    if config is None or not ((config.get("spec") or {}).get("gateway") or {}).get("enabled"):
        return Finding("gateway", "ok", "none is configured; web endpoints are reachable inside the cluster")
    status = config.get("status") or {}
    reported = status.get("gateway") or {}
    if reported.get("ready"):
        return Finding("gateway", "ok", f"ready at {reported.get('address') or 'no address'}")
    wrong = [
        f"{condition.get('reason')}: {condition.get('message')}"
        for condition in status.get("conditions") or ()
        if condition.get("status") == "False"
    ]
    helps = f"kubectl -n {namespace} describe sympoziumconfig {names.CONFIG}"
    return Finding("gateway", "failed", "; ".join(wrong) or "it is not ready", helps)


def instances(items: Iterable[Object], where: str) -> Finding:
    """Check that the instances are as their specs ask for."""
    counted, wrong = 0, list[Object]()
    for item in items:
        counted += 1
        if problem_of(item):
            wrong.append(item)
    if not wrong:
        return Finding("instances", "ok", f"{counted} {where}, all as they should be")
    first = wrong[0]["metadata"]
    told = [f"{item['metadata']['name']}: {phase_of(item) or 'no phase'}, {problem_of(item)}" for item in wrong[:5]]
    helps = f"kubectl -n {first['namespace']} describe instance {first['name']}"
    return Finding("instances", "warning", f"{len(wrong)} of {counted} {where} not ready: {'; '.join(told)}", helps)


def rights(allowed: Mapping[Right, bool], where: str) -> Finding:
    """Check what the user may do."""
    missing = [f"{right} ({right.purpose})" for right, is_allowed in allowed.items() if not is_allowed]
    if not missing:
        return Finding("rights", "ok", f"all that the commands need {where}")
    helps = "ask whoever administers the cluster for a Role with them"
    return Finding("rights", "warning", f"missing {where}: {', '.join(missing)}", helps)


def forbidden(check: str, message: str) -> Finding:
    """Return the result of a check for which the user lacks a right."""
    return Finding(check, "unknown", message, "a user with that right sees more")
