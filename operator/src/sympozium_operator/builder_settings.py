"""Parameters of decisions and builders, as the operator's settings decide them. Pure."""

from sympozium_operator.desired.agent_job import AgentPod
from sympozium_operator.desired.network_policy import Egress
from sympozium_operator.desired.web_proxy import TraceExport
from sympozium_operator.operator_settings import OperatorSettings
from sympozium_operator.policy import placement as pod_placement
from sympozium_operator.policy.run_input import RunLimits


def run_limits(settings: OperatorSettings) -> RunLimits:
    """Return the bounds of a run's start and of its failed Job."""
    return RunLimits(
        start_timeout=settings.start_timeout,
        queue_timeout=settings.queue_timeout,
        failed_job_retention=settings.failed_job_retention,
    )


def agent_pod(settings: OperatorSettings) -> AgentPod:
    """Return the parts of every agent pod that the settings decide."""
    return AgentPod(
        image=settings.agent_image,
        pull_policy=settings.image_pull_policy,
        resources=settings.agent_resources,
        runs_url=settings.runs_url,
        template=settings.agent_pod,
        placement=placement(settings),
        guard_url=settings.egress_url if settings.guarded_egress else "",
    )


def placement(settings: OperatorSettings) -> str:
    """Return the placement of agent pods before admission."""
    containers = [{"resources": settings.agent_resources}]
    return pod_placement.placement(settings.agent_pod.get("spec", {}) | {"containers": containers})


def egress(settings: OperatorSettings) -> Egress | None:
    """Return where pods may connect to; None: the operator makes no NetworkPolicies."""
    if not settings.network_policies:
        return None
    has_guard = bool(settings.egress_url)
    guarded = has_guard and settings.guarded_egress
    return Egress(settings.namespace, settings.extra_agent_egress, has_guard=has_guard, is_guarded=guarded)


def trace_export(settings: OperatorSettings) -> TraceExport | None:
    """Return where web-proxies send their traces; None: nowhere."""
    return TraceExport(settings.tracing_endpoint, settings.tracing_sample_ratio) if settings.tracing_endpoint else None
