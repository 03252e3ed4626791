"""HTTPRoute of a web endpoint: from the gateway to the Service of its web-proxy."""

from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.resources import GATEWAYS, HTTP_ROUTES, SERVICES, Object
from sympozium_api.run import AgentRun
from sympozium_operator.desired import rbac
from sympozium_operator.desired.gateway import HTTPS_LISTENER

_UNLIMITED = "0s"
"""Request timeout of the route: gateways have defaults (Envoy's is 15 s) that would cut long and streamed answers."""


_INSIDE = "/metrics"
"""Path that is not routed, because the web-proxy asks for no key there."""


@dataclass(frozen=True)
class RouteTarget:
    """Gateway to which a route is attached, and the host name that it serves."""

    gateway_namespace: str
    gateway: str
    hostname: str
    tls: bool

    @property
    def url(self) -> str:
        """Return the base URL for clients."""
        return f"{'https' if self.tls else 'http'}://{self.hostname}"

    def parent(self) -> Object:
        """Return the reference to the Gateway; with TLS to its https listener only, so that no API key travels unencrypted."""
        reference = {
            "group": GATEWAYS.group,
            "kind": GATEWAYS.kind,
            "namespace": self.gateway_namespace,
            "name": self.gateway,
        }
        return reference | ({"sectionName": HTTPS_LISTENER} if self.tls else {})


def build(run: AgentRun, target: RouteTarget) -> Object:
    """Return the route of a server run."""
    name = names.server(run.metadata.name)
    backend = {"group": "", "kind": SERVICES.kind, "name": name, "port": names.HTTP_PORT}
    rules = [
        _matching(
            _INSIDE
        ),  # without a backend, because callers outside must not see who uses the endpoint, and how much
        _matching("/") | {"timeouts": {"request": _UNLIMITED}, "backendRefs": [backend]},
    ]
    spec = {"parentRefs": [target.parent()], "hostnames": [target.hostname], "rules": rules}
    return rbac.server_head(run, HTTP_ROUTES, name) | {"spec": spec}


def _matching(path: str) -> Object:
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}]}
