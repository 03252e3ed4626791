"""What a SympoziumInstance should have and what its status should say, as pure functions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sympozium_api import effective, names
from sympozium_api.clock import timestamp
from sympozium_api.effective import InvalidSpec, WebEndpoint
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import SkillPack
from sympozium_operator.policy.conditions import Finding, find, merged

Object = dict[str, Any]

LOOK_AGAIN = 5.0
"""Seconds until what is missing and not watched (a Secret) is looked for again."""

WEB_ENDPOINT_READY = "WebEndpointReady"


@dataclass(frozen=True)
class Input:
    """All that the decision may look at."""

    now: datetime
    instance: SympoziumInstance
    secret: Object | None = None
    """The model's Secret, if one is named and there."""
    pack: SkillPack | None = None
    """The SkillPack ``web-endpoint`` that counts for the instance's namespace."""
    server: AgentRun | None = None
    """The server run, if there is one."""


@dataclass(frozen=True)
class Plan:
    """What to do for an instance."""

    status: Object
    server_wanted: bool | None
    """Whether its server run should exist; None: what is there stays as it is."""
    after: float | None


def secret_trouble(secret_name: str | None, provider: str, secret: Object | None) -> Finding | None:
    """What is wrong with a model's Secret: None if nothing is, or if the model needs none."""
    if secret_name is None:
        return None
    if secret is None:
        return _not_ready("SecretNotFound", f"there is no Secret {secret_name} with the model's API key")
    keys = effective.key_names(provider)
    if not set(keys) & set(secret.get("data") or {}):
        return _not_ready("SecretKeyNotFound", f"the Secret {secret_name} has neither the key {keys[0]} nor {keys[1]}")
    return None


def decide(seen: Input) -> Plan:
    """The whole plan for an instance."""
    endpoint, accepted = _accepted(seen)
    named = effective.model(seen.instance)
    trouble = secret_trouble(named.secret, named.provider, seen.secret)
    model = trouble or Finding("ModelReady", ok=True, reason="SecretFound" if named.secret else "NoSecretNeeded")
    wanted = endpoint is not None if accepted.ok else None
    shown = effective.web_endpoint_is_on(seen.instance)
    findings = [accepted, model, *([_web_endpoint(seen.server)] if shown else [])]
    return Plan(
        status=_status(seen, findings, endpoint, shown=shown),
        server_wanted=wanted,
        after=None if accepted.ok and model.ok else LOOK_AGAIN,
    )


def _accepted(seen: Input) -> tuple[WebEndpoint | None, Finding]:
    try:
        effective.refuse_unsupported(seen.instance)
        endpoint = effective.web_endpoint(seen.instance)
    except InvalidSpec as error:
        return None, Finding("Accepted", ok=False, reason="InvalidSpec", message=str(error))
    if endpoint is None:
        return None, Finding("Accepted", ok=True, reason="Accepted")
    return endpoint, pack_finding(seen.pack) or Finding("Accepted", ok=True, reason="Accepted")


def pack_finding(pack: SkillPack | None) -> Finding | None:
    """Why a web endpoint cannot be made from this SkillPack; None: it can."""
    skill = names.WEB_ENDPOINT_SKILL
    if pack is None:
        text = f"there is no SkillPack {skill}, neither in the instance's namespace nor in the operator's"
        return Finding("Accepted", ok=False, reason="SkillPackNotFound", message=text)
    if pack.spec.sidecar is None or not pack.spec.sidecar.requires_server:
        text = f"the SkillPack {skill} in namespace {pack.metadata.namespace} has no sidecar with requiresServer: true"
        return Finding("Accepted", ok=False, reason="SkillPackHasNoServer", message=text)
    return None


def _not_ready(reason: str, message: str) -> Finding:
    return Finding("ModelReady", ok=False, reason=reason, message=message)


def _web_endpoint(server: AgentRun | None) -> Finding:
    if server is None:
        return Finding(WEB_ENDPOINT_READY, ok=False, reason="Starting", message="its server run is being made")
    if server.status.phase == "Serving":
        return Finding(WEB_ENDPOINT_READY, ok=True, reason="Serving")
    for kind in ("Accepted", "Started"):
        found = find(server.status.conditions, kind)
        if found is not None and found.status == "False":
            return Finding(WEB_ENDPOINT_READY, ok=False, reason=found.reason, message=found.message)
    return Finding(WEB_ENDPOINT_READY, ok=False, reason="Starting", message="its web-proxy is starting")


def _status(seen: Input, findings: list[Finding], endpoint: WebEndpoint | None, *, shown: bool) -> Object:
    instance = seen.instance
    before = instance.status.model_dump(by_alias=True, exclude_none=True)
    status: Object = {
        "phase": _phase(findings, shown=shown),
        "observedGeneration": instance.metadata.generation,
        "conditions": merged(
            instance.status.conditions,
            findings,
            generation=instance.metadata.generation,
            now=timestamp(seen.now),
            without=() if shown else (WEB_ENDPOINT_READY,),
        ),
    }
    if endpoint is not None:
        return status | {"webEndpoint": _web_endpoint_status(instance, endpoint)}
    if shown and "webEndpoint" in before:  # the spec is invalid: what was before goes on
        return status | {"webEndpoint": before["webEndpoint"]}
    return status | {"webEndpoint": {"enabled": False, "gatewayReady": False}}


def _phase(findings: list[Finding], *, shown: bool) -> str:
    accepted, *others = findings
    if not accepted.ok:
        return "Error"
    if not all(finding.ok for finding in others):
        return "Pending"
    return "Serving" if shown else "Running"


def _web_endpoint_status(instance: SympoziumInstance, endpoint: WebEndpoint) -> Object:
    run = names.web_endpoint_run(instance.metadata.name)
    server = names.server(run)
    return {
        "enabled": True,
        "deploymentName": server,
        "serviceName": server,
        "gatewayReady": False,
        "authSecretName": endpoint.auth_secret_ref or names.api_key_secret(run),
        "url": f"http://{server}.{instance.metadata.namespace}.svc:{names.HTTP_PORT}",
    }
