"""Plan of a Provider: its conditions, and when it is tried again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sympozium_api import provider_check
from sympozium_api.base import RECONCILING
from sympozium_api.provider import ACCEPTED, REACHABLE, Provider
from sympozium_api.resources import Object
from sympozium_api.timestamps import parse_timestamp, timestamp
from sympozium_api.tool_check import Flaw
from sympozium_operator.policy.conditions import ConditionUpdate, find, merged
from sympozium_operator.policy.probe_conditions import MODEL_REACHABLE

FIRST_BACKOFF = 60.0
"""Seconds until a provider that did not answer is tried again; doubled with each failure in a row, up to the interval."""
NOT_TRIED_REASONS = ("AddressNotAllowed", "SecretNotReadable", "GuardUnreachable")
"""Reasons for which the egress guard has not called the provider, so that nothing shows whether agents can."""

_OBSTACLES = ("NotAccepted", "ProviderDisabled", "GuardOff")


@dataclass(frozen=True)
class Trial:
    """Result of one call that tried a Provider, or of the attempt."""

    digest: str
    """Digest of what was tried."""
    valid: bool
    reason: str
    message: str
    model: str | None = None
    """Model that was called, if the guard has said it."""


@dataclass(frozen=True)
class ProviderInput:
    """All that the plan may look at."""

    now: datetime
    provider: Provider
    flaw: Flaw | None
    """Reason why the Provider is not accepted, as far as its spec and its Secrets' metadata show."""
    versions: tuple[str, ...]
    """Versions of its Secrets."""
    models: frozenset[str]
    """Models of it that instances name."""
    has_guard: bool
    trial: Trial | None
    """Result of a trial that is not in the status yet."""
    interval: float
    """Seconds between two trials of a provider that answers."""
    failures: int = 0
    """Trials in a row that failed."""


@dataclass(frozen=True)
class ProviderPlan:
    """Changes to make for a Provider."""

    status: Object
    digest: str
    """Digest of what a trial would try."""
    model: str | None
    """Model to try; None: the guard chooses one."""
    try_after: float | None
    """Seconds until the provider is to be tried; None: it is not."""
    flaw: Flaw | None
    """Reason why the Provider is not accepted."""


def decide(facts: ProviderInput) -> ProviderPlan:
    """Return the plan for a Provider."""
    provider, before = facts.provider, facts.provider.status
    model = _model(facts)
    digest = _digest(facts, model)
    trial = facts.trial if facts.trial and facts.trial.digest == digest else None
    was_tried = trial is not None and trial.reason not in NOT_TRIED_REASONS
    flaw = facts.flaw or (_entries_flaw(facts, trial) if facts.has_guard else None)
    status: Object = {
        "conditions": merged(
            before.conditions,
            filter(None, [_accepted(flaw), _reachable(facts, trial, flaw)]),
            generation=provider.metadata.generation,
            now=timestamp(facts.now),
            without=(RECONCILING,),
        )
    }
    if flaw is None:
        status["apiBase"] = provider_check.base_url(provider)
    tried = {"triedAt": before.tried_at, "triedModel": before.tried_model, "triedDigest": before.tried_digest}
    if trial is not None and was_tried:
        tried = {"triedAt": timestamp(facts.now), "triedModel": trial.model or model, "triedDigest": digest}
    status |= {name: value for name, value in tried.items() if value is not None}
    can_be_tried = _obstacle(facts, facts.flaw) is None
    return ProviderPlan(status, digest, model, _try_after(facts, digest, trial) if can_be_tried else None, flaw)


def entries_flaw(provider: Provider) -> Flaw | None:
    """Return the flaw that the egress guard has last found in the entries of a Provider's Secrets, which the operator does not read."""
    accepted = find(provider.status.conditions, ACCEPTED)
    if accepted is None or accepted.reason not in provider_check.ENTRY_REASONS:
        return None
    return Flaw(accepted.reason, accepted.message)


def reachable_of(provider: Provider) -> ConditionUpdate | None:
    """Return the condition ModelReachable of a Provider's instances; None: the Provider was not tried."""
    current = find(provider.status.conditions, REACHABLE)
    if current is None or current.status == "Unknown":
        return None
    message = f"Provider {provider.metadata.name}: {current.message}"
    return ConditionUpdate(MODEL_REACHABLE, ok=current.status == "True", reason=current.reason, message=message)


def _model(facts: ProviderInput) -> str | None:
    """Return the model to try: the one that was tried before, as long as an instance names it."""
    tried = facts.provider.status.tried_model
    if tried is not None and (not facts.models or tried in facts.models):
        return tried
    return min(facts.models, default=None)


def _digest(facts: ProviderInput, model: str | None) -> str:
    """Return the digest of what a trial tries. A model that the guard has chosen changes nothing of it."""
    named = model if model in facts.models else ""
    parts = (str(facts.provider.metadata.generation), *facts.versions, named or "")
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def _entries_flaw(facts: ProviderInput, trial: Trial | None) -> Flaw | None:
    """Return the flaw in the entries of the Secrets: the former one until a trial shows something else."""
    spec = facts.provider.spec
    if not (spec.enabled and (spec.secret_ref or spec.headers_secret_ref)):
        return None
    if trial is None or trial.reason in NOT_TRIED_REASONS:
        return entries_flaw(facts.provider)
    return Flaw(trial.reason, trial.message) if trial.reason in provider_check.ENTRY_REASONS else None


def _accepted(flaw: Flaw | None) -> ConditionUpdate:
    if flaw is not None:
        return ConditionUpdate(ACCEPTED, ok=False, reason=flaw.reason, message=flaw.message)
    return ConditionUpdate(ACCEPTED, ok=True, reason="Accepted", message="instances of the namespace can name it")


def _reachable(facts: ProviderInput, trial: Trial | None, flaw: Flaw | None) -> ConditionUpdate | None:
    """Return the new condition Reachable; None: it stays as it is, until what has changed is tried."""
    if obstacle := _obstacle(facts, flaw):
        return obstacle
    if trial is not None and trial.reason in NOT_TRIED_REASONS:
        return _unknown(trial.reason, trial.message)
    if trial is not None:
        return ConditionUpdate(REACHABLE, ok=trial.valid, reason=trial.reason, message=trial.message)
    before = find(facts.provider.status.conditions, REACHABLE)
    if before is None or before.reason in _OBSTACLES:
        return _unknown("NotTried", "it is about to be tried")
    return None


def _obstacle(facts: ProviderInput, flaw: Flaw | None) -> ConditionUpdate | None:
    """Return why the provider cannot be tried; None if it can."""
    if flaw is not None:
        return _unknown("NotAccepted", "only an accepted provider is tried")
    if not facts.provider.spec.enabled:
        return _unknown("ProviderDisabled", "spec.enabled: it is switched off")
    if not facts.has_guard:
        text = "the egress guard, which tries providers, is off in this installation (egress.enabled)"
        return _unknown("GuardOff", text)
    return None


def _unknown(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate(REACHABLE, ok=False, reason=reason, message=message, is_unknown=True)


def _try_after(facts: ProviderInput, digest: str, trial: Trial | None) -> float:
    """Return the seconds until the next trial: at once after a change, else by the interval, or sooner after a failure."""
    status = facts.provider.status
    if trial is not None:
        if trial.valid:
            return facts.interval
        return min(FIRST_BACKOFF * (1 << min(max(facts.failures - 1, 0), 10)), facts.interval)
    if status.tried_digest != digest or status.tried_at is None:
        return 0.0
    current = find(status.conditions, REACHABLE)
    if entries_flaw(facts.provider) is None and (current is None or current.status == "Unknown"):
        return 0.0
    wait = facts.interval if current is not None and current.status == "True" else FIRST_BACKOFF
    due = parse_timestamp(status.tried_at) + timedelta(seconds=wait)
    return min(max((due - facts.now).total_seconds(), 0.0), facts.interval)
