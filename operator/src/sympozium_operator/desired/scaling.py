"""Availability of a web-proxy with several replicas: a PodDisruptionBudget, and a HorizontalPodAutoscaler if the instance asks for one."""

from sympozium_api import names
from sympozium_api.resources import AUTOSCALERS, DEPLOYMENTS, DISRUPTION_BUDGETS, Object, ResourceType
from sympozium_api.run import AgentRun
from sympozium_api.web_endpoint import Autoscaling
from sympozium_operator.desired import rbac, web_proxy

KINDS: tuple[ResourceType, ...] = (DISRUPTION_BUDGETS, AUTOSCALERS)
"""Kinds that ``build`` may make: each at most once, and removed when it is no longer wanted."""


def build(run: AgentRun, *, replicas: int, autoscaling: Autoscaling | None) -> list[Object]:
    """Return the objects that a server run with at least so many replicas has; it has no other of ``KINDS``."""
    budgets = [_disruption_budget(run)] if replicas > 1 else []
    return [*budgets, _autoscaler(run, replicas, autoscaling)] if autoscaling else budgets


def _disruption_budget(run: AgentRun) -> Object:
    """Return a budget that lets drained nodes evict one pod at a time, and an unhealthy pod always."""
    return rbac.server_head(run, DISRUPTION_BUDGETS, names.server(run.metadata.name)) | {
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": web_proxy.selector(run)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
    }


def _autoscaler(run: AgentRun, least: int, autoscaling: Autoscaling) -> Object:
    name = names.server(run.metadata.name)
    target = {"type": "Utilization", "averageUtilization": autoscaling.target_cpu_utilization_percentage}
    return rbac.server_head(run, AUTOSCALERS, name) | {
        "spec": {
            "scaleTargetRef": {"apiVersion": DEPLOYMENTS.api_version, "kind": DEPLOYMENTS.kind, "name": name},
            "minReplicas": least,
            "maxReplicas": autoscaling.max_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }
    }
