"""The kinds of objects that this project reads or writes, and their paths at the API server. Values only, no client."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sympozium_api.names import GROUP, VERSION
from sympozium_api.timestamps import parse_timestamp

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as decoded JSON."""

QUOTA_EXCEEDED = "exceeded quota"
"""Words in a refusal of an object beyond a ResourceQuota of its namespace."""


@dataclass(frozen=True)
class ResourceType:
    """A kind: API group and version (empty group: core), plural name and kind."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """Value of an object's ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path of the collection, of an object or of its subresource; namespace None: all namespaces."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace is not None:
            parts.append(f"namespaces/{_segment(namespace)}")
        parts.append(self.plural)
        parts += [] if name is None else [_segment(name)]
        parts += [] if subresource is None else [subresource]
        return "/".join(parts)


def _segment(name: str) -> str:
    """Return a name as one segment of a path: it comes from callers too, and must lead to no other object and to no list."""
    quoted = quote(name, safe=":", errors="replace")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def created_at(body: Object) -> datetime:
    """Return the time of an object's creation."""
    return parse_timestamp(body["metadata"]["creationTimestamp"])


INSTANCES = ResourceType(GROUP, VERSION, "sympoziuminstances", "SympoziumInstance")
RUNS = ResourceType(GROUP, VERSION, "agentruns", "AgentRun")
RUN_PARTS = ResourceType(GROUP, VERSION, "agentrunparts", "AgentRunPart")
SKILL_PACKS = ResourceType(GROUP, VERSION, "skillpacks", "SkillPack")
TOOLS = ResourceType(GROUP, VERSION, "tools", "Tool")
TOOL_BINDINGS = ResourceType(GROUP, VERSION, "toolbindings", "ToolBinding")
PROVIDERS = ResourceType(GROUP, VERSION, "providers", "Provider")
POLICIES = ResourceType(GROUP, VERSION, "sympoziumpolicies", "SympoziumPolicy")
API_KEYS = ResourceType(GROUP, VERSION, "apikeys", "APIKey")
CONFIGS = ResourceType(GROUP, VERSION, "sympoziumconfigs", "SympoziumConfig")
JOBS = ResourceType("batch", "v1", "jobs", "Job")
PODS = ResourceType("", "v1", "pods", "Pod")
EVENTS = ResourceType("", "v1", "events", "Event")
NODES = ResourceType("", "v1", "nodes", "Node")
NAMESPACES = ResourceType("", "v1", "namespaces", "Namespace")
SECRETS = ResourceType("", "v1", "secrets", "Secret")
CONFIG_MAPS = ResourceType("", "v1", "configmaps", "ConfigMap")
SERVICES = ResourceType("", "v1", "services", "Service")
SERVICE_ACCOUNTS = ResourceType("", "v1", "serviceaccounts", "ServiceAccount")
CONTROLLER_REVISIONS = ResourceType("apps", "v1", "controllerrevisions", "ControllerRevision")
DEPLOYMENTS = ResourceType("apps", "v1", "deployments", "Deployment")
DISRUPTION_BUDGETS = ResourceType("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
AUTOSCALERS = ResourceType("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
ROLES = ResourceType("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = ResourceType("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
LOCAL_ACCESS_REVIEWS = ResourceType(
    "authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview"
)
NETWORK_POLICIES = ResourceType("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease")
GATEWAY_CLASSES = ResourceType("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass")
GATEWAYS = ResourceType("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
HTTP_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
