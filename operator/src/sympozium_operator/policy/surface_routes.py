"""Decisions about the routes of the installation's own APIs, and the condition of the SympoziumConfig that reports them."""

from collections.abc import Mapping, Sequence

from sympozium_api.config import SympoziumConfig
from sympozium_api.resources import Object
from sympozium_operator.desired.http_route import RouteTarget
from sympozium_operator.desired.surface_route import Surface
from sympozium_operator.policy import route_decision
from sympozium_operator.policy.conditions import ConditionUpdate

ROUTES_READY = "RoutesReady"


def decide(config: SympoziumConfig, surface: Surface) -> RouteTarget | ConditionUpdate:
    """Return the route to have, or the reason why there can be none."""
    gateway = config.spec.gateway
    if gateway.tls.enabled and surface.hostname.partition(".")[2] != gateway.base_domain:
        text = f"{surface.hostname}: must be a single DNS label followed by .{gateway.base_domain}"
        return refused("HostnameNotCovered", f"{text}: the gateway's certificate covers no other name")
    return RouteTarget(config.metadata.namespace, gateway.name, surface.hostname, tls=gateway.tls.enabled)


def state(live: Object, target: RouteTarget) -> ConditionUpdate | None:
    """Return the reason why an existing route does not work yet; None if it does."""
    return route_decision.not_accepted(ROUTES_READY, live, target)


def taken(target: RouteTarget, by: Object) -> ConditionUpdate:
    """Return the condition of a route whose host name belongs to another route."""
    text = f"{target.hostname}: a route in namespace {by['metadata']['namespace']} already has this host name"
    return refused("HostnameTaken", text)


def summary(flaws: Mapping[Surface, ConditionUpdate | None]) -> ConditionUpdate:
    """Return the condition of all routes: the first flaw, or True."""
    first = next(filter(None, flaws.values()), None)
    if first is not None:
        return first
    message = ", ".join(f"{surface.hostname} routes to {surface.service}" for surface in flaws)
    return ConditionUpdate(ROUTES_READY, ok=True, reason="Routed", message=message)


def surplus(routes: Sequence[Object], surfaces: Sequence[Surface]) -> list[Object]:
    """Return the routes of APIs that have no host name any more."""
    wanted = {surface.service for surface in surfaces}
    return [route for route in routes if route["metadata"]["name"] not in wanted]


def refused(reason: str, message: str) -> ConditionUpdate:
    """Return the condition for no route, or for one that does not work."""
    return ConditionUpdate(ROUTES_READY, ok=False, reason=reason, message=message)
