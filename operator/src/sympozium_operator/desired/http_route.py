"""The HTTPRoute of a web endpoint: from the gateway to the Service of its web-proxy."""

from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.resources import GATEWAYS, HTTP_ROUTES, SERVICES, Object
from sympozium_api.run import AgentRun
from sympozium_operator.desired import rbac
from sympozium_operator.desired.gateway import HTTPS_LISTENER

_UNLIMITED = "0s"
"""Gateways have default timeouts (Envoy's is 15 s) that would cut long and streamed answers: the run's own timeout counts."""


_INSIDE = "/metrics"
"""Not reached from outside, where no key is asked for it."""


@dataclass(frozen=True)
class RouteTarget:
    """Where a route is attached, and by which name it is reached."""

    gateway_namespace: str
    gateway: str
    hostname: str
    tls: bool

    @property
    def url(self) -> str:
        """Base URL for clients."""
        return f"{'https' if self.tls else 'http'}://{self.hostname}"

    def parent(self) -> Object:
        """The reference to the Gateway; with TLS to its https listener only, so that no API key is answered in the clear."""
        found = {
            "group": GATEWAYS.group,
            "kind": GATEWAYS.kind,
            "namespace": self.gateway_namespace,
            "name": self.gateway,
        }
        return found | ({"sectionName": HTTPS_LISTENER} if self.tls else {})


def build(run: AgentRun, target: RouteTarget) -> Object:
    """The route of a server run."""
    name = names.server(run.metadata.name)
    backend = {"group": "", "kind": SERVICES.kind, "name": name, "port": names.HTTP_PORT}
    rules = [
        _matching(_INSIDE),  # without a backend: who uses the endpoint, and how much, is not for everybody outside
        _matching("/") | {"timeouts": {"request": _UNLIMITED}, "backendRefs": [backend]},
    ]
    spec = {"parentRefs": [target.parent()], "hostnames": [target.hostname], "rules": rules}
    return rbac.server_head(run, HTTP_ROUTES, name) | {"spec": spec}


def _matching(path: str) -> Object:
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}]}
