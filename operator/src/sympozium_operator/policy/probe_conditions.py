"""Conditions ModelReachable and IssuerReady: what the web-proxy has found out and stored on the server run (decision 0056).

Neither counts for the instance's phase or its condition Ready: the check may be wrong, and other callers may be served.
"""

from sympozium_api import effective, environment
from sympozium_api.effective import EffectiveWebEndpoint
from sympozium_api.instance import SympoziumInstance
from sympozium_api.probes import Probe, issuer_target, model_target
from sympozium_api.run import AgentRun
from sympozium_api.web_endpoint import OAuth
from sympozium_operator.policy.conditions import ConditionUpdate
from sympozium_operator.policy.web_endpoint_pack import WebEndpointPack

MODEL_REACHABLE = "ModelReachable"
ISSUER_READY = "IssuerReady"
TYPES = (MODEL_REACHABLE, ISSUER_READY)


def of_instance(
    instance: SympoziumInstance,
    endpoint: EffectiveWebEndpoint | None,
    server: AgentRun | None,
    pack: WebEndpointPack,
    provider: ConditionUpdate | None = None,
) -> list[ConditionUpdate]:
    """Return the conditions of an instance. ``provider``: what is known of its Provider, in place of the web-proxy's check."""
    found = _of_server(instance, endpoint, server, pack)
    if instance.spec.agents.default.provider_ref is None:
        return found
    return [*filter(None, [provider]), *(update for update in found if update.type != MODEL_REACHABLE)]


def _of_server(
    instance: SympoziumInstance, endpoint: EffectiveWebEndpoint | None, server: AgentRun | None, pack: WebEndpointPack
) -> list[ConditionUpdate]:
    """Return the conditions of an instance whose server run is this one; none of a result that is outdated or switched off.

    ``endpoint``: None if the spec cannot be carried out; then nothing shows what the issuer would be.
    """
    if server is None or server.status.probes is None or _are_off(pack):
        return []
    results, oauth = server.status.probes, endpoint.oauth if endpoint else None
    updates = [
        _update(MODEL_REACHABLE, results.model, _model_target(instance)),
        _update(ISSUER_READY, results.issuer, _issuer_target(oauth)) if oauth else None,
    ]
    return [update for update in updates if update is not None]


def _update(kind: str, result: Probe | None, target: str) -> ConditionUpdate | None:
    if result is None or result.target != target:
        return None
    return ConditionUpdate(kind, ok=result.reachable, reason=result.reason, message=result.message)


def _are_off(pack: WebEndpointPack) -> bool:
    sidecar = pack.sidecar
    return sidecar is not None and sidecar.env.get(environment.PROBE_INTERVAL) == environment.PROBES_OFF


def _model_target(instance: SympoziumInstance) -> str:
    model = effective.model(instance)
    return model_target(model.base_url, model.name, instance.spec.agents.default.env)


def _issuer_target(oauth: OAuth) -> str:
    return issuer_target(oauth.issuer, oauth.jwks_uri, oauth.certificate_authority)
