"""HTTPRoute of a web endpoint: from the gateway to the Service of its web-proxy; and the spec of any other route of ours."""

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
    return rbac.server_head(run, HTTP_ROUTES, name) | {"spec": spec(target, name, names.HTTP_PORT)}


def spec(target: RouteTarget, service: str, port: int) -> Object:
    """Return the spec of a route to a Service of the route's namespace."""
    backend = {"group": "", "kind": SERVICES.kind, "name": service, "port": port}
    rules = [
        _matching(
            _INSIDE
        ),  # without a backend, because callers outside must not see who uses the endpoint, and how much
        _matching("/") | {"timeouts": {"request": _UNLIMITED}, "backendRefs": [backend]},
    ]
    return {"parentRefs": [target.parent()], "hostnames": [target.hostname], "rules": rules}


def _matching(path: str) -> Object:
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}]}
