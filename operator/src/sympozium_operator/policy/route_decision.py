"""Decision about an instance's HTTPRoute, and the condition that reports it."""

from collections.abc import Iterable
from dataclasses import dataclass

from sympozium_api.config import SympoziumConfig
from sympozium_api.effective import EffectiveWebEndpoint, InvalidSpec, refuse_bad_hostname
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import GATEWAYS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.desired.http_route import RouteTarget
from sympozium_operator.policy.conditions import ConditionUpdate, gateway_api_update

ROUTE_READY = "RouteReady"


@dataclass(frozen=True)
class RouteInput:
    """All that the decision may look at."""

    instance: SympoziumInstance
    endpoint: EffectiveWebEndpoint | None
    """Web endpoint as the spec has it; None while the spec is invalid: an existing route keeps its host name."""
    config: SympoziumConfig | None
    """SympoziumConfig that the operator uses, if it exists."""
    server: AgentRun | None
    live: Object | None
    """Existing route."""


@dataclass(frozen=True)
class RouteState:
    """State of an instance's route, for the instance's status."""

    condition: ConditionUpdate | None = None
    """Condition RouteReady; None: no gateway is asked for."""
    url: str | None = None
    """Base URL for clients, while the gateway routes it."""

    @property
    def ready(self) -> bool:
        """Return whether a gateway routes to the web endpoint."""
        return self.condition is not None and self.condition.ok


NO_ROUTE = RouteState()


def decide(facts: RouteInput, reserved: frozenset[str] = frozenset()) -> RouteTarget | ConditionUpdate | None:
    """Return the route to have; or the reason why there can be none; or None, if no gateway is asked for.

    No instance has one of the ``reserved`` host names.

    A route is first made when the gateway is ready. An existing route stays when the gateway stops being ready.
    """
    if facts.config is None or not facts.config.spec.gateway.enabled:
        return None
    gateway = facts.config.spec.gateway
    ready = facts.config.status.gateway is not None and facts.config.status.gateway.ready
    base = _base_domain(facts.config)
    hostname = _hostname(facts, base)
    if hostname is None:
        return gateway_not_ready(facts.config)
    if (refused := _refused_name(hostname, base, facts.config, reserved)) is not None:
        return refused
    if facts.live is None and not ready:
        return gateway_not_ready(facts.config)
    if facts.server is None or facts.server.ended or facts.server.metadata.deletion_timestamp:
        return _refused("Starting", "the server run is being created")
    return RouteTarget(facts.config.metadata.namespace, gateway.name, hostname, tls=gateway.tls.enabled)


def _refused_name(
    hostname: str, base: str | None, config: SympoziumConfig, reserved: frozenset[str]
) -> ConditionUpdate | None:
    """Return the reason why no instance may have a host name; None if one may."""
    if hostname in reserved:
        return _refused(
            "HostnameTaken", f"{hostname}: the installation's own API has it; set spec.webEndpoint.hostname"
        )
    if config.spec.gateway.tls.enabled and base and hostname.partition(".")[2] != base:
        text = f"{hostname}: spec.webEndpoint.hostname (or the skill's param hostname) must be a single DNS label followed by"
        return _refused("HostnameNotCovered", f"{text} .{base}: the gateway's certificate covers no other name")
    return None


def state(target: RouteTarget, live: Object, config: SympoziumConfig) -> RouteState:
    """Return the state of an existing route: ready when its gateway is ready and has accepted the current generation of the route."""
    if config.status.gateway is None or not config.status.gateway.ready:
        return RouteState(gateway_not_ready(config))
    if (update := not_accepted(ROUTE_READY, live, target)) is not None:
        return RouteState(update)
    return RouteState(
        ConditionUpdate(ROUTE_READY, ok=True, reason="Routed", message=f"{target.url} routes to the web endpoint"),
        target.url,
    )


def not_accepted(kind: str, live: Object, target: RouteTarget) -> ConditionUpdate | None:
    """Return the reason why the gateway does not route an existing route's current generation; None if it does."""
    parents = (live.get("status") or {}).get("parents") or []
    status: Object = next((parent for parent in parents if _is_ours(parent["parentRef"], target)), {})
    gateway = f"Gateway {target.gateway_namespace}/{target.gateway}"
    generation = live["metadata"].get("generation", 0)
    return gateway_api_update(kind, gateway, status, generation, "Accepted", "ResolvedRefs")


def claimed(live: Object | None, target: RouteTarget) -> bool:
    """Return whether the existing route has the host name already, so that no other route was first."""
    return live is not None and target.hostname in _hostnames(live)


def rival(routes: Iterable[Object], mine: tuple[str, str], target: RouteTarget) -> Object | None:
    """Return another route with the host name at the same Gateway; ``mine``: namespace and name of our own."""
    for body in routes:
        metadata, spec = body["metadata"], body.get("spec") or {}
        here = [ref for ref in spec.get("parentRefs") or [] if _names_gateway(ref, metadata["namespace"], target)]
        if here and target.hostname in _hostnames(body) and (metadata["namespace"], metadata["name"]) != mine:
            return body
    return None


def taken(target: RouteTarget, by: Object) -> RouteState:
    """Return the state of a route whose host name belongs to another route."""
    other = f"a route in namespace {by['metadata']['namespace']} already has this host name"
    text = f"{target.hostname}: {other}; set spec.webEndpoint.hostname"
    return RouteState(_refused("HostnameTaken", text))


def gateway_not_ready(config: SympoziumConfig) -> ConditionUpdate:
    """Return the condition of a route whose gateway is not ready."""
    text = (
        f"the gateway is not ready: see SympoziumConfig {config.metadata.name} in namespace {config.metadata.namespace}"
    )
    return _refused("GatewayNotReady", text)


def _refused(reason: str, message: str) -> ConditionUpdate:
    """Return the condition for no route, or for one that does not work."""
    return ConditionUpdate(ROUTE_READY, ok=False, reason=reason, message=message)


def _base_domain(config: SympoziumConfig) -> str | None:
    """Return the base domain; None while it is invalid: the SympoziumConfig reports it, and existing routes stay."""
    base = config.spec.gateway.base_domain
    try:
        refuse_bad_hostname("spec.gateway.baseDomain", base)
    except InvalidSpec:
        return None
    return base


def _hostname(facts: RouteInput, base: str | None) -> str | None:
    """Return the host name that the spec asks for; while the spec is invalid, the existing route's."""
    if facts.endpoint is not None and facts.endpoint.hostname:
        return facts.endpoint.hostname
    if facts.endpoint is not None and base:
        return f"{facts.instance.metadata.name}.{base}"
    return next(iter(_hostnames(facts.live)), None) if facts.live else None


def _hostnames(route: Object) -> list[str]:
    return (route.get("spec") or {}).get("hostnames") or []


def _is_ours(reference: Object, target: RouteTarget) -> bool:
    """Return whether a controller's status of a route is about our Gateway and listener."""
    return all(reference.get(key) == value for key, value in target.parent().items() if key not in ("group", "kind"))


def _names_gateway(reference: Object, namespace: str, target: RouteTarget) -> bool:
    gateway = (target.gateway_namespace, target.gateway)
    return (reference.get("namespace", namespace), reference.get("name")) == gateway and (
        reference.get("kind", GATEWAYS.kind) == GATEWAYS.kind
    )
