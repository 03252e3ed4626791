"""HTTPRoute of one of the installation's own APIs, e.g. the console's: from the gateway to its Service."""

from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.base import owner_reference
from sympozium_api.config import SympoziumConfig
from sympozium_api.resources import HTTP_ROUTES, Object
from sympozium_operator.desired import http_route, pod_parts
from sympozium_operator.desired.http_route import RouteTarget

COMPONENT = "surface"
"""Component in the labels of these routes."""


@dataclass(frozen=True)
class Surface:
    """An API of the installation that has a host name outside."""

    service: str
    """Name of its Service, in the operator's namespace, and of its route."""
    port: int
    hostname: str


def build(config: SympoziumConfig, surface: Surface, target: RouteTarget) -> Object:
    """Return the route, which goes with the SympoziumConfig."""
    labels, owner = names.labels(COMPONENT), owner_reference(config)
    head = pod_parts.head(HTTP_ROUTES, surface.service, config.metadata.namespace, labels=labels, owner=owner)
    return head | {"spec": http_route.spec(target, surface.service, surface.port)}
