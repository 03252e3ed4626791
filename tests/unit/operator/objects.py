"""Objects that the operator's tests begin with, as the API server would return them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sympozium_api import names
from sympozium_api.config import SympoziumConfig
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import SkillPack

Object = dict[str, Any]

NAMESPACE = "team"
SYSTEM = "sympozium-system"
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> str:
    """A timestamp that many seconds after everything was created."""
    return (CREATED + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(name: str, *, namespace: str = NAMESPACE, created: float = 0, **more: Any) -> Object:
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-of-{name}",
        "generation": 1,
        "creationTimestamp": at(created),
    } | more


def instance_object(
    name: str = "alice", *, status: Object | None = None, model: Object | None = None, **spec: Any
) -> Object:
    agent = {"model": "gpt-x", "baseURL": "http://model.example.com/v1", "runTimeout": "10m"} | (model or {})
    return {
        "apiVersion": names.API_VERSION,
        "kind": "SympoziumInstance",
        "metadata": metadata(name),
        "spec": {"agents": {"default": agent}} | spec,
        "status": status or {},
    }


def instance(name: str = "alice", **kwargs: Any) -> SympoziumInstance:
    return SympoziumInstance.model_validate(instance_object(name, **kwargs))


MCP_SERVERS: list[Object] = [{"name": "files", "url": "http://files"}]
"""A field that this version refuses."""
WEB_ENDPOINT: Object = {"skills": [{"skillPackRef": "web-endpoint"}]}


def run_object(
    name: str = "q1",
    *,
    status: Object | None = None,
    created: float = 0,
    annotations: Object | None = None,
    **spec: Any,
) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": metadata(name, created=created, annotations=annotations or {}),
        "spec": {"agentRef": "alice", "mode": "task", "task": "hello"} | spec,
        "status": status or {},
    }


def run(name: str = "q1", **kwargs: Any) -> AgentRun:
    return AgentRun.model_validate(run_object(name, **kwargs))


def server_run_object(instance_name: str = "alice", *, status: Object | None = None) -> Object:
    name = names.web_endpoint_run(instance_name)
    owner = {
        "apiVersion": names.API_VERSION,
        "kind": "SympoziumInstance",
        "name": instance_name,
        "uid": f"uid-of-{instance_name}",
        "controller": True,
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": metadata(name, ownerReferences=[owner]),
        "spec": {"agentRef": instance_name, "mode": "server", "skills": [{"skillPackRef": "web-endpoint"}]},
        "status": status or {},
    }


def server_run(instance_name: str = "alice", *, status: Object | None = None) -> AgentRun:
    return AgentRun.model_validate(server_run_object(instance_name, status=status))


def pack_object(namespace: str = SYSTEM, **sidecar: Any) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "SkillPack",
        "metadata": metadata("web-endpoint", namespace=namespace),
        "spec": {
            "skills": [{"name": "a", "content": "b"}],
            "sidecar": {
                "image": "example.com/webproxy:1",
                "command": ["python", "-m", "sympozium_webproxy"],
                "requiresServer": True,
            }
            | sidecar,
        },
    }


def pack(namespace: str = SYSTEM, **sidecar: Any) -> SkillPack:
    return SkillPack.model_validate(pack_object(namespace, **sidecar))


def secret_object(name: str, *keys: str, value: str = "c2VjcmV0") -> Object:
    data = dict.fromkeys(keys, value)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(name), "data": data}


def job_object(
    run_name: str = "q1", *, created: float = 0, owner: str | None = None, status: Object | None = None
) -> Object:
    uid = f"uid-of-{run_name}"
    owner_reference = {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "name": run_name,
        "uid": owner or uid,
        "controller": True,
    }
    labels = names.labels("agent", instance="alice", run=run_name)
    job_name = names.job(run_name, uid)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(job_name, created=created, ownerReferences=[owner_reference], labels=labels),
        "spec": {},
        "status": status or {"active": 1},
    }


def pod_object(
    run_name: str = "q1",
    *,
    state: Object | None = None,
    node: str | None = "node-1",
    created: float = 0,
    requests: Object | None = None,
    **status: Any,
) -> Object:
    job = job_object(run_name)["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["name"], "uid": job["uid"], "controller": True}
    container = {"name": "agent", "resources": {"requests": requests or {"cpu": "50m", "memory": "64Mi"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(
            f"{job['name']}-abcde",
            created=created,
            ownerReferences=[owner],
            labels={"batch.kubernetes.io/job-name": job["name"]},
        ),
        "spec": {"containers": [container]} | ({"nodeName": node} if node else {}),
        "status": {"phase": "Pending"} | status | ({"containerStatuses": [{"state": state}]} if state else {}),
    }


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def running(since: float = 0) -> Object:
    return {"running": {"startedAt": at(since)}}


def terminated(exit_code: int = 1, **more: Any) -> Object:
    return {"terminated": {"exitCode": exit_code, "startedAt": at(0)} | more}


def node_object(name: str = "node-1", *, cpu: str = "2", memory: str = "4Gi") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata(name, namespace=""),
        "status": {"allocatable": {"cpu": cpu, "memory": memory}},
    }


def config_object(
    name: str = names.CONFIG, *, namespace: str = SYSTEM, status: Object | None = None, **gateway: Any
) -> Object:
    asked = {"enabled": True, "gatewayClassName": "envoy", "baseDomain": "example.com"} | gateway
    return {
        "apiVersion": names.API_VERSION,
        "kind": "SympoziumConfig",
        "metadata": metadata(name, namespace=namespace),
        "spec": {"gateway": asked},
        "status": status or {},
    }


def config(**kwargs: Any) -> SympoziumConfig:
    return SympoziumConfig.model_validate(config_object(**kwargs))


def said(*conditions: tuple[str, str, str], generation: int = 1) -> Object:
    """Conditions as a controller of the Gateway API writes them: type, status, reason."""
    return {
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "as it says",
                "observedGeneration": generation,
            }
            for kind, status, reason in conditions
        ]
    }


ACCEPTED = ("Accepted", "True", "Accepted")
RESOLVED = ("ResolvedRefs", "True", "ResolvedRefs")
PROGRAMMED = ("Programmed", "True", "Programmed")


def gateway_class_object(*conditions: tuple[str, str, str]) -> Object:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": metadata("envoy", namespace=""),
        "status": said(*(conditions or (ACCEPTED,))),
    }


def gateway_status(*listeners: Object) -> Object:
    """The status of a Gateway that routes."""
    return said(ACCEPTED, PROGRAMMED) | {
        "addresses": [{"type": "IPAddress", "value": "192.0.2.7"}],
        "listeners": list(listeners) or [{"name": "http"} | said(ACCEPTED, RESOLVED, PROGRAMMED)],
    }


def ready_gateway(gateway: Object) -> Object:
    """A Gateway as its controller leaves it: it routes, in its present generation."""
    status = gateway_status()
    for part in (status, *status["listeners"]):
        for each in part["conditions"]:
            each["observedGeneration"] = gateway["metadata"]["generation"]
    return gateway | {"status": status}
