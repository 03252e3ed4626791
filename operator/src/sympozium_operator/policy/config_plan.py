"""Plan of a SympoziumConfig: its Gateway and its status."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sympozium_api import names
from sympozium_api.config import SympoziumConfig
from sympozium_api.effective import InvalidSpec, refuse_bad_hostname
from sympozium_api.resources import Object
from sympozium_api.timestamps import timestamp
from sympozium_operator.policy.conditions import ConditionUpdate, gateway_api_update, merged
from sympozium_operator.policy.pod_status import controller_uid
from sympozium_operator.policy.surface_routes import ROUTES_READY

LONGEST_BASE_DOMAIN = 253 - len(".") - 40
"""Longest base domain: a host name has 253 characters at most, and the name of an instance 40."""

REQUEUE_SECONDS = 5.0
"""Seconds until a gateway that is not ready is reconciled again: its GatewayClass and the Gateway API's CRDs may be installed late."""

GATEWAY_READY = "GatewayReady"


@dataclass(frozen=True)
class ConfigInput:
    """All that the plan may look at."""

    now: datetime
    config: SympoziumConfig
    namespace: str
    """Namespace of the operator."""
    gateways: tuple[Object, ...] | None = ()
    """All Gateways of that namespace; None: the Gateway API is not installed."""
    classes: tuple[Object, ...] | None = ()
    """GatewayClass of that name, if it exists; None: the operator may not read it."""
    routes: ConditionUpdate | None = None
    """Condition RoutesReady; None: the installation's own APIs ask for no route."""


@dataclass(frozen=True)
class ConfigPlan:
    """Changes to make for a SympoziumConfig."""

    status: Object
    gateway_wanted: bool
    surplus: tuple[Object, ...]
    """Gateways of the SympoziumConfig that it no longer asks for."""
    requeue_after: float | None


def counts(config: SympoziumConfig, namespace: str) -> bool:
    """Return whether a SympoziumConfig is the one that the operator in this namespace uses."""
    return config.key == (namespace, names.CONFIG)


def accepted(facts: ConfigInput) -> ConditionUpdate:
    """Return the condition Accepted: whether the spec is valid and has an effect."""
    if not counts(facts.config, facts.namespace):
        text = f"only the SympoziumConfig {names.CONFIG} in namespace {facts.namespace} has an effect"
        return ConditionUpdate("Accepted", ok=False, reason="NoEffect", message=text)
    field, base = "spec.gateway.baseDomain", facts.config.spec.gateway.base_domain
    try:
        refuse_bad_hostname(field, base)
        if base and len(base) > LONGEST_BASE_DOMAIN:
            raise InvalidSpec(f"{field}: must be at most {LONGEST_BASE_DOMAIN} characters")  # noqa: TRY301 - reported like the other
    except InvalidSpec as error:
        return ConditionUpdate("Accepted", ok=False, reason="InvalidSpec", message=str(error))
    return ConditionUpdate("Accepted", ok=True, reason="Accepted")


def decide(facts: ConfigInput) -> ConfigPlan:
    """Return the plan for a SympoziumConfig; while its spec is invalid, an existing Gateway stays as it is."""
    acceptance = accepted(facts)
    enabled = counts(facts.config, facts.namespace) and facts.config.spec.gateway.enabled
    live = _own(facts) if enabled else None
    ready = _gateway(facts, live) if enabled else None
    gateway: Object = {"ready": ready is not None and ready.ok}
    if live is not None:
        gateway |= _shown(live.get("status") or {})
    optional = {GATEWAY_READY: ready, ROUTES_READY: facts.routes}
    updates = [acceptance, *filter(None, optional.values())]
    return ConfigPlan(
        status={
            "phase": _phase(acceptance, ready),
            "conditions": merged(
                facts.config.status.conditions,
                updates,
                generation=facts.config.metadata.generation,
                now=timestamp(facts.now),
                without=tuple(kind for kind, update in optional.items() if update is None),
            ),
            "gateway": gateway,
        },
        gateway_wanted=enabled and acceptance.ok and facts.gateways is not None,
        surplus=tuple(_surplus(facts)) if acceptance.ok else (),
        requeue_after=REQUEUE_SECONDS if any(not update.ok for update in updates[1:]) else None,
    )


def _own(facts: ConfigInput) -> Object | None:
    name = facts.config.spec.gateway.name
    return next((body for body in facts.gateways or () if body["metadata"]["name"] == name), None)


def _surplus(facts: ConfigInput) -> Iterable[Object]:
    spec, uid = facts.config.spec.gateway, facts.config.metadata.uid
    for body in facts.gateways or ():
        wanted = spec.enabled and body["metadata"]["name"] == spec.name
        if controller_uid(body) == uid and not wanted:
            yield body


def _gateway(facts: ConfigInput, live: Object | None) -> ConditionUpdate:
    """Return the condition of the gateway, all its listeners included."""
    name = str(facts.config.spec.gateway.gateway_class_name)
    if facts.gateways is None:
        return _not_ready("GatewayAPINotInstalled", "the Gateway API's CRDs are not installed in this cluster")
    if facts.classes == ():
        return _not_ready("GatewayClassNotFound", f"there is no GatewayClass {name}")
    for gateway_class in facts.classes or ():
        update = gateway_api_update(
            GATEWAY_READY, f"GatewayClass {name}", gateway_class.get("status") or {}, 0, "Accepted"
        )
        if update:
            return _not_ready("GatewayClassNotAccepted", update.message)
    if live is None:
        return _not_ready("Starting", "the Gateway is being created")
    return _programmed(live) or ConditionUpdate(GATEWAY_READY, ok=True, reason="Programmed")


def _programmed(live: Object) -> ConditionUpdate | None:
    status, generation = live.get("status") or {}, live["metadata"].get("generation", 0)
    subject = f"Gateway {live['metadata']['name']}"
    update = gateway_api_update(GATEWAY_READY, subject, status, generation, "Accepted", "Programmed")
    for listener in status.get("listeners") or []:
        types = [condition["type"] for condition in listener.get("conditions") or []]
        wanted = [
            name for name in ("Accepted", "ResolvedRefs", "Programmed") if name in types
        ]  # not all controllers set all of them
        text = f"{subject}, listener {listener['name']}"
        update = update or gateway_api_update(GATEWAY_READY, text, listener, generation, *wanted)
    return update


def _not_ready(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate(GATEWAY_READY, ok=False, reason=reason, message=message)


def _shown(status: Object) -> Object:
    addresses = [address["value"] for address in status.get("addresses") or [] if address.get("value")]
    shown: Object = {"listenerCount": len(status.get("listeners") or [])}
    return shown | ({"address": addresses[0]} if addresses else {})


def _phase(acceptance: ConditionUpdate, ready: ConditionUpdate | None) -> str:
    if not acceptance.ok:
        return "Error"
    return "Ready" if ready is None or ready.ok else "Pending"
