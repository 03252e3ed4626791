"""What keeps several replicas of a web-proxy going: a PodDisruptionBudget, and a HorizontalPodAutoscaler where one is asked for."""

from sympozium_api import names
from sympozium_api.instance import Autoscaling
from sympozium_api.resources import AUTOSCALERS, DEPLOYMENTS, DISRUPTION_BUDGETS, Object, ResourceType
from sympozium_api.run import AgentRun
from sympozium_operator.desired import rbac, web_proxy

KINDS: tuple[ResourceType, ...] = (DISRUPTION_BUDGETS, AUTOSCALERS)
"""All that ``build`` may make: each at most once, and removed when it is not wanted any more."""


def build(run: AgentRun, *, replicas: int, autoscaling: Autoscaling | None) -> list[Object]:
    """What a server run with at least so many replicas should have; all else of ``KINDS`` it should not have."""
    found = [_disruption_budget(run)] if replicas > 1 else []
    return [*found, _autoscaler(run, replicas, autoscaling)] if autoscaling else found


def _disruption_budget(run: AgentRun) -> Object:
    """Drained nodes take one pod at a time; one that does not work anyway holds up no drain."""
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
