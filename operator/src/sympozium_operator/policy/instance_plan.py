"""Plan of a SympoziumInstance: its children and its status."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sympozium_api import effective, environment, names
from sympozium_api.agent_document import AgentDocument
from sympozium_api.agent_protocol import find_unsendable
from sympozium_api.base import RECONCILING
from sympozium_api.effective import EffectiveWebEndpoint, InvalidSpec
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy_check import FieldDenial
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import timestamp
from sympozium_operator.policy import (
    agent_tools,
    model_secret,
    probe_conditions,
    provider_resolution,
    skill_resolution,
    within_policy,
)
from sympozium_operator.policy.conditions import READY, STALLED, ConditionUpdate, find, merged
from sympozium_operator.policy.key_limits_condition import KEY_LIMITS_VALID
from sympozium_operator.policy.provider_resolution import PLAIN, InstanceModels
from sympozium_operator.policy.route_decision import NO_ROUTE, ROUTE_READY, RouteState
from sympozium_operator.policy.web_endpoint_pack import NO_PACK, WebEndpointPack
from sympozium_operator.policy.within_policy import POLICY_DENIED, WITHIN_POLICY

REQUEUE_SECONDS = 5.0
"""Seconds until a missing object that is not watched (a Secret) is read again."""

_OF_THE_SPEC = ("InvalidSpec", "InvalidHeader", "SecretNeeded", POLICY_DENIED)
"""Reasons that only a change of the spec, or of a policy, removes."""

WEB_ENDPOINT_READY = "WebEndpointReady"
ACCEPTED = ConditionUpdate("Accepted", ok=True, reason="Accepted", message="the spec is valid and in force")


@dataclass(frozen=True)
class InstanceInput:
    """All that the plan may look at."""

    now: datetime
    instance: SympoziumInstance
    secret: Object | None = None
    """Secret of the model, if the instance names one and it exists."""
    callers_secrets: frozenset[str] = frozenset()
    """Secrets that other instances of the namespace name for their callers' API keys."""
    pack: WebEndpointPack = NO_PACK
    """SkillPacks ``web-endpoint`` for the instance's namespace."""
    auth_secret: Object | None = None
    """Secret that the instance names for its API keys, if it names one and it exists."""
    server: AgentRun | None = None
    """Server run of the instance, if it exists."""
    route: RouteState = NO_ROUTE
    """State of the route from outside to the web endpoint."""
    sources: Mapping[str, skill_resolution.Source] = field(default_factory=dict)
    """SkillPacks and ConfigMaps that the instance's other skills name, by the field."""
    document: AgentDocument | None = None
    """Tools that the agent may call, and the models that were resolved for it; None: there is neither."""
    kept: AgentDocument | None = None
    """The document from before, under the policy of now: it stays while the spec is not accepted."""
    policy: EffectivePolicy | None = None
    """All policies that bind the instance; None: none does."""
    denied: FieldDenial | None = None
    """Refusal of the instance by its policy."""
    denied_tools: tuple[FieldDenial, ...] = ()
    """Refusals of tools that ToolBindings grant to the instance's agent."""
    tools: ConditionUpdate | None = None
    """Condition of the agent's built-in tools; None: the instance names none."""
    pool: Object | None = None
    """Status of the warm pool, if the instance has one."""
    models: InstanceModels = PLAIN
    """Models of an instance that names a Provider or fallbacks."""
    refusal: ConditionUpdate | None = None
    """Reason why a child cannot be made: the API server refuses it for good, or its name is taken. None: there is none."""


@dataclass(frozen=True)
class InstancePlan:
    """Changes to make for an instance."""

    status: Object
    server_wanted: bool | None
    """True if the server run should exist, False if it should drain and go; None: it stays as it is."""
    skills: list[InstalledSkill] | None
    """Skills that the instance's agents should have; None: those that they have stay as they are."""
    requeue_after: float | None


def owns(instance: SympoziumInstance, run: AgentRun) -> bool:
    """Return whether a run is owned by the instance."""
    return any(owner.uid == instance.metadata.uid for owner in run.metadata.owner_references)


def _header_failure(instance: SympoziumInstance) -> ConditionUpdate | None:
    """Return the reason why the instance's own headers cannot be sent to the model; None if they can."""
    name = find_unsendable(instance.spec.agents.default.provider_headers)
    text = f"spec.agents.default.providerHeaders: {name!r} cannot be sent, because HTTP allows printable ASCII only"
    return ConditionUpdate("ModelReady", ok=False, reason="InvalidHeader", message=text) if name is not None else None


def decide(facts: InstanceInput) -> InstancePlan:
    """Return the plan for an instance."""
    endpoint, installed, accepted = _accepted(facts)
    model = _model(facts)
    wanted = endpoint is not None if accepted.ok else None
    if facts.denied is not None and facts.denied.denial.kind == "images":
        wanted = False  # its pod would have the image
    shown = effective.web_endpoint_is_on(facts.instance)
    refused = [_within_policy(facts)] if facts.denied else []
    updates = [accepted, model, *filter(None, refused), *([_web_endpoint(facts.server)] if shown else [])]
    return InstancePlan(
        status=_status(facts, updates, endpoint, shown=shown),
        server_wanted=wanted,
        skills=installed if accepted.ok else None,
        requeue_after=_look_again(accepted, model),
    )


def _model(facts: InstanceInput) -> ConditionUpdate:
    """Return the condition of the model: of the Provider that the instance names, else of its Secret."""
    instance, of_provider = facts.instance, facts.models.condition
    if failed := _header_failure(instance) or model_secret.refused_refs(instance, facts.callers_secrets):
        return failed
    if of_provider is not None and instance.spec.agents.default.provider_ref is not None:
        return of_provider
    state = model_secret.state(instance, facts.secret)
    return of_provider if state.ok and of_provider is not None else state


def _within_policy(facts: InstanceInput) -> ConditionUpdate | None:
    return within_policy.condition(facts.policy, facts.instance, facts.denied, facts.denied_tools)


def _look_again(*updates: ConditionUpdate) -> float | None:
    """Return the seconds until what is missing is looked for again; None if only another spec, or nothing, can change the conditions."""
    waits = any(not update.ok and update.reason not in _OF_THE_SPEC for update in updates)
    return REQUEUE_SECONDS if waits else None


def _accepted(facts: InstanceInput) -> tuple[EffectiveWebEndpoint | None, list[InstalledSkill], ConditionUpdate]:
    try:
        effective.refuse_unsupported(facts.instance)
        provider_resolution.refuse_conflict(facts.instance)
        endpoint = effective.web_endpoint(facts.instance)
        failure = skill_resolution.missing(facts.instance, facts.sources)
        installed = [] if failure else skill_resolution.install(facts.instance, facts.sources)
    except InvalidSpec as error:
        return None, [], ConditionUpdate("Accepted", ok=False, reason="InvalidSpec", message=str(error))
    if endpoint is not None:
        failure = failure or facts.pack.failure or facts.pack.refusal
        if failure is None and endpoint.auth_secret_ref:
            failure = auth_secret_failure(endpoint.auth_secret_ref, facts.auth_secret)
    return endpoint, installed, failure or facts.refusal or ACCEPTED


def has_api_key(secret: Object) -> bool:
    """Return whether a Secret holds at least one API key."""
    return any(
        key.startswith(environment.API_KEY_PREFIX) and value for key, value in (secret.get("data") or {}).items()
    )


def auth_secret_failure(name: str, secret: Object | None) -> ConditionUpdate | None:
    """Return the reason why this Secret cannot hold callers' API keys; None if it can."""
    if secret is None:
        text = f"there is no Secret {name} with API keys"
        return ConditionUpdate("Accepted", ok=False, reason="AuthSecretNotFound", message=text)
    if not has_api_key(secret):
        text = f"the Secret {name} has no key, with a value, whose name begins with {environment.API_KEY_PREFIX}"
        return ConditionUpdate("Accepted", ok=False, reason="AuthSecretKeyNotFound", message=text)
    return None


def _web_endpoint(server: AgentRun | None) -> ConditionUpdate:
    if server is None:
        return ConditionUpdate(
            WEB_ENDPOINT_READY, ok=False, reason="Starting", message="the server run is being created"
        )
    if server.status.phase == "Serving":
        return ConditionUpdate(WEB_ENDPOINT_READY, ok=True, reason="Serving", message="the HTTP API answers")
    for kind in ("Accepted", "Started"):
        condition = find(server.status.conditions, kind)
        if condition is not None and condition.status == "False":
            return ConditionUpdate(WEB_ENDPOINT_READY, ok=False, reason=condition.reason, message=condition.message)
    return ConditionUpdate(WEB_ENDPOINT_READY, ok=False, reason="Starting", message="the web-proxy is starting")


def _key_limits(server: AgentRun | None) -> ConditionUpdate | None:
    """Return the server run's condition of the limits beside the API keys. The instance serves all the same if they are wrong."""
    current = find(server.status.conditions, KEY_LIMITS_VALID) if server is not None else None
    if current is None:
        return None
    return ConditionUpdate(current.type, ok=current.status == "True", reason=current.reason, message=current.message)


_LEAVING = ConditionUpdate(
    WEB_ENDPOINT_READY,
    ok=False,
    reason="Draining",
    message="the web endpoint was disabled; its accepted requests are being finished",
)


def _status(
    facts: InstanceInput, updates: list[ConditionUpdate], endpoint: EffectiveWebEndpoint | None, *, shown: bool
) -> Object:
    instance = facts.instance
    before = instance.status.model_dump(by_alias=True, exclude_none=True)
    leaving = not shown and facts.server is not None and owns(instance, facts.server)
    route, phase = facts.route.condition, _phase(updates, shown=shown)
    limits = _key_limits(facts.server) if shown else None
    ready = _ready(facts, updates, phase)
    stalled = replace(ready, type=STALLED, ok=True) if ready.reason in _OF_THE_SPEC else None
    reconciling = replace(ready, type=RECONCILING, ok=not ready.ok and ready.reason == "Starting")
    within = _within_policy(facts)
    updates = [*updates, ready, reconciling, *filter(None, [stalled, within])]
    probed = probe_conditions.of_instance(
        instance, endpoint, facts.server if shown else None, facts.pack, facts.models.reachable
    )
    status: Object = {
        "phase": phase,
        "observedGeneration": instance.metadata.generation,
        "conditions": merged(
            instance.status.conditions,
            [*updates, *probed, *([_LEAVING] if leaving else []), *filter(None, [route, limits, facts.tools])],
            generation=instance.metadata.generation,
            now=timestamp(facts.now),
            without=(
                *(() if shown or leaving else (WEB_ENDPOINT_READY,)),
                *(() if route else (ROUTE_READY,)),
                *(() if stalled else (STALLED,)),
                *(() if within else (WITHIN_POLICY,)),
                *(kind for kind in probe_conditions.TYPES if kind not in [update.type for update in probed]),
                *(() if limits else (KEY_LIMITS_VALID,)),
                *(() if facts.tools else (agent_tools.TOOLS_READY,)),
            ),
        ),
    }
    shown_document = agent_tools.digest(facts.document if updates[0].ok else facts.kept)
    if shown_document is not None:
        status["agentDocument"] = shown_document
    if facts.pool is not None and facts.denied is None and all(update.ok for update in updates[:2]):
        status["warmPool"] = facts.pool
    made = before.get("webEndpoint", {})
    if endpoint is not None and (updates[0].ok or not made.get("enabled")):
        return status | {"webEndpoint": _web_endpoint_status(instance, endpoint) | _reached(instance, facts.route)}
    if shown and made:  # the new spec cannot be carried out: the earlier web endpoint stays
        return status | {"webEndpoint": made | _reached(instance, facts.route)}
    return status | {"webEndpoint": {"enabled": False, "gatewayReady": False}}


def _ready(facts: InstanceInput, updates: list[ConditionUpdate], phase: str) -> ConditionUpdate:
    """Return the summary: the first failure, a server that does not have this spec yet, or the phase."""
    failed = next((update for update in updates if not update.ok), None)
    if failed is None and phase == "Serving" and facts.server is not None:
        failed = _outdated(facts.server, facts.instance.metadata.generation)
    if failed is not None:
        return replace(failed, type=READY)
    if phase == "Serving":
        return ConditionUpdate(READY, ok=True, reason="Serving", message="the HTTP API answers")
    return ConditionUpdate(
        READY, ok=True, reason="Running", message="AgentRuns may name the instance; it has no HTTP API"
    )


def _outdated(server: AgentRun, generation: int) -> ConditionUpdate | None:
    """Return the reason why a server that answers was not made from the spec of this generation; None if it was."""
    for kind in ("Accepted", "Started"):
        condition = find(server.status.conditions, kind)
        if condition is None or (condition.observed_generation or 0) < generation:
            return ConditionUpdate(READY, ok=False, reason="Starting", message="the web-proxy is being updated")
        if condition.status == "False":
            return ConditionUpdate(READY, ok=False, reason=condition.reason, message=condition.message)
    return None


def _phase(updates: list[ConditionUpdate], *, shown: bool) -> str:
    accepted, *others = updates
    if not accepted.ok or any(update.reason == POLICY_DENIED for update in others):
        return "Error"
    if not all(update.ok for update in others):
        return "Pending"
    return "Serving" if shown else "Running"


def _web_endpoint_status(instance: SympoziumInstance, endpoint: EffectiveWebEndpoint) -> Object:
    run = names.web_endpoint_run(instance.metadata.name)
    server = names.server(run)
    return {
        "enabled": True,
        "deploymentName": server,
        "serviceName": server,
        "authSecretName": endpoint.auth_secret_ref or names.api_key_secret(run),
    }


def _reached(instance: SympoziumInstance, route: RouteState) -> Object:
    """Return the state and URL of the gateway where it routes, else of the Service."""
    server = names.server(names.web_endpoint_run(instance.metadata.name))
    service = f"http://{server}.{instance.metadata.namespace}.svc:{names.HTTP_PORT}"
    return {"gatewayReady": route.ready, "url": route.url or service}
