"""How an instance's web endpoint is reached from outside: which route it should have, and what is to be said of it. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass

from sympozium_api.config import SympoziumConfig
from sympozium_api.effective import EffectiveWebEndpoint, InvalidSpec, refuse_bad_hostname
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import GATEWAYS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.desired.http_route import RouteTarget
from sympozium_operator.policy.conditions import ConditionUpdate, gateway_api_update

REQUEUE_SECONDS = 5.0
"""Seconds until a host name that is taken is tried again."""

ROUTE_READY = "RouteReady"


@dataclass(frozen=True)
class RouteInput:
    """All that the decision may look at."""

    instance: SympoziumInstance
    endpoint: EffectiveWebEndpoint | None
    """The web endpoint as the spec has it; None while the spec is invalid: the route that is there keeps its host name."""
    config: SympoziumConfig | None
    """The SympoziumConfig that counts, if there is one."""
    server: AgentRun | None
    live: Object | None
    """The route that is there."""


@dataclass(frozen=True)
class RouteState:
    """What the instance's status says of its route."""

    finding: ConditionUpdate | None = None
    """None: no gateway is asked for."""
    url: str | None = None
    """Base URL for clients, while the gateway routes it."""
    requeue_after: float | None = None
    """Seconds until it is worth another look without an event."""

    @property
    def ready(self) -> bool:
        """Whether a gateway routes to the web endpoint."""
        return self.finding is not None and self.finding.ok


NO_ROUTE = RouteState()


def decide(seen: RouteInput) -> RouteTarget | ConditionUpdate | None:
    """The route to have; or why there can be none; or None, where no gateway is asked for.

    A route is first made when the gateway is ready; one that is there outlasts a gateway that is not, for a while or by mistake.
    """
    if seen.config is None or not seen.config.spec.gateway.enabled:
        return None
    gateway = seen.config.spec.gateway
    ready = seen.config.status.gateway is not None and seen.config.status.gateway.ready
    base = _base_domain(seen.config)
    hostname = _hostname(seen, base)
    if hostname is None:
        return gateway_not_ready(seen.config)
    if gateway.tls.enabled and base and hostname.partition(".")[2] != base:
        text = f"{hostname}: spec.webEndpoint.hostname (or the skill's param hostname) must be one word in front of"
        return _refused("HostnameNotCovered", f"{text} .{base}: the gateway's certificate holds for no other")
    if seen.live is None and not ready:
        return gateway_not_ready(seen.config)
    if seen.server is None or seen.server.ended or seen.server.metadata.deletion_timestamp:
        return _refused("Starting", "its server run is being made")
    return RouteTarget(seen.config.metadata.namespace, gateway.name, hostname, tls=gateway.tls.enabled)


def state(target: RouteTarget, live: Object, config: SympoziumConfig) -> RouteState:
    """What a route that is there comes to: ready when the gateway is, and has accepted the route as it is now."""
    if config.status.gateway is None or not config.status.gateway.ready:
        return RouteState(gateway_not_ready(config))
    generation = live["metadata"].get("generation", 0)
    parents = (live.get("status") or {}).get("parents") or []
    said: Object = next((parent for parent in parents if _is_ours(parent["parentRef"], target)), {})
    about = f"Gateway {target.gateway_namespace}/{target.gateway}"
    trouble = gateway_api_update(ROUTE_READY, about, said, generation, "Accepted", "ResolvedRefs")
    if trouble is not None:
        return RouteState(trouble)
    return RouteState(
        ConditionUpdate(ROUTE_READY, ok=True, reason="Routed", message=f"{target.url} leads here"), target.url
    )


def claimed(live: Object | None, target: RouteTarget) -> bool:
    """Whether the route that is there has the host name already: then no other was first."""
    return live is not None and target.hostname in _hostnames(live)


def rival(routes: Iterable[Object], mine: tuple[str, str], target: RouteTarget) -> Object | None:
    """The route of somebody else that has the host name at the same Gateway; ``mine``: namespace and name of our own."""
    for body in routes:
        metadata, spec = body["metadata"], body.get("spec") or {}
        here = [ref for ref in spec.get("parentRefs") or [] if _names_gateway(ref, metadata["namespace"], target)]
        if here and target.hostname in _hostnames(body) and (metadata["namespace"], metadata["name"]) != mine:
            return body
    return None


def taken(target: RouteTarget, by: Object) -> RouteState:
    """What is said where somebody else has the host name."""
    text = f"{target.hostname}: a route in namespace {by['metadata']['namespace']} had it first; set spec.webEndpoint.hostname"
    return RouteState(_refused("HostnameTaken", text), requeue_after=REQUEUE_SECONDS)


def gateway_not_ready(config: SympoziumConfig) -> ConditionUpdate:
    """What is said where the gateway itself is the trouble."""
    text = (
        f"the gateway is not ready: see SympoziumConfig {config.metadata.name} in namespace {config.metadata.namespace}"
    )
    return _refused("GatewayNotReady", text)


def _refused(reason: str, message: str) -> ConditionUpdate:
    """Why there is no route, or none that works."""
    return ConditionUpdate(ROUTE_READY, ok=False, reason=reason, message=message)


def _base_domain(config: SympoziumConfig) -> str | None:
    """None while it is none: the config says so, and what was before goes on."""
    base = config.spec.gateway.base_domain
    try:
        refuse_bad_hostname("spec.gateway.baseDomain", base)
    except InvalidSpec:
        return None
    return base


def _hostname(seen: RouteInput, base: str | None) -> str | None:
    """The host name that is asked for; while a spec is invalid, the one that the route has."""
    if seen.endpoint is not None and seen.endpoint.hostname:
        return seen.endpoint.hostname
    if seen.endpoint is not None and base:
        return f"{seen.instance.metadata.name}.{base}"
    return next(iter(_hostnames(seen.live)), None) if seen.live else None


def _hostnames(route: Object) -> list[str]:
    return (route.get("spec") or {}).get("hostnames") or []


def _is_ours(reference: Object, target: RouteTarget) -> bool:
    """Whether what a controller says of a route is about our Gateway and listener."""
    return all(reference.get(key) == value for key, value in target.parent().items() if key not in ("group", "kind"))


def _names_gateway(reference: Object, namespace: str, target: RouteTarget) -> bool:
    gateway = (target.gateway_namespace, target.gateway)
    return (reference.get("namespace", namespace), reference.get("name")) == gateway and (
        reference.get("kind", GATEWAYS.kind) == GATEWAYS.kind
    )
