"""Effective values of a spec: defaults, skills and references combined. Pure functions over the typed models."""

import re
import ssl
from dataclasses import dataclass
from typing import TypeVar

from sympozium_api.base import seconds
from sympozium_api.instance import SkillRef, SympoziumInstance, WarmPool
from sympozium_api.names import (
    ANNOTATION_AWAITS_IDLE_POD,
    ANNOTATION_REPLY_TO,
    DNS_LABEL,
    WEB_ENDPOINT_SKILL,
    is_api_key_secret,
)
from sympozium_api.run import AgentRun
from sympozium_api.web_endpoint import MAX_RATE, Autoscaling, OAuth, RateLimit

OPENAI_BASE_URL = "https://api.openai.com/v1"

_HOSTNAME = re.compile(rf"(?!.*\.[0-9]+$)(?!.{{254}}){DNS_LABEL}(\.{DNS_LABEL})*")

_PLAUSIBLE_URL = re.compile(r"http://(\[[0-9a-fA-F:]{2,39}\]|[0-9A-Za-z.-]{1,253})(:[0-9]{1,5})?")


class InvalidSpec(ValueError):
    """A spec that is not valid; the message names the field and a correct value."""


@dataclass(frozen=True)
class EffectiveWebEndpoint:
    """An instance's HTTP API that is switched on."""

    rate_limit: RateLimit
    replicas: int
    """Number of replicas; with ``autoscaling``, the smallest number."""
    autoscaling: Autoscaling | None
    hostname: str | None
    auth_secret_ref: str | None
    oauth: OAuth | None
    """Authorization server whose access tokens are valid beside API keys."""


@dataclass(frozen=True)
class EffectiveModel:
    """The model that a run calls."""

    name: str
    base_url: str
    provider: str
    secret: str | None
    """Secret with the model's API key; None: the model needs none."""


def web_endpoint(instance: SympoziumInstance) -> EffectiveWebEndpoint | None:
    """Return the web endpoint of an instance, from its skill or from its field; a skill's param overrides the field.

    Raises InvalidSpec for a param that is unknown or cannot be parsed.
    """
    field = instance.spec.web_endpoint
    for index, skill in enumerate(instance.spec.skills):
        if skill.skill_pack_ref == WEB_ENDPOINT_SKILL:
            params = _Params(f"spec.skills[{index}].params", skill.params)
            break
    else:
        if not field.enabled:
            return None
        params = _Params("", {})
    limit = field.rate_limit
    endpoint = EffectiveWebEndpoint(
        rate_limit=RateLimit(
            requests_per_minute=params.count("rate_limit_rpm", limit.requests_per_minute),
            burst_size=params.count("rate_limit_burst", limit.burst_size),
            reads_per_minute=params.count("rate_limit_reads", limit.reads_per_minute),
        ),
        replicas=(field.autoscaling and field.autoscaling.min_replicas) or field.replicas,
        autoscaling=field.autoscaling,
        hostname=params.hostname(field.hostname),
        auth_secret_ref=params.text("auth_secret_ref", field.auth_secret_ref),
        oauth=field.oauth,
    )
    _refuse_bad_authority(field.oauth)
    params.refuse_others()
    return endpoint


def web_endpoint_is_on(instance: SympoziumInstance) -> bool:
    """Return true if the instance has a web endpoint; while its spec is invalid, the last status decides."""
    try:
        return web_endpoint(instance) is not None
    except InvalidSpec:
        status = instance.status.web_endpoint
        return status is not None and status.enabled


_Count = TypeVar("_Count", bound=int | None)


class _Params:
    """A skill's params, and their path for error messages."""

    def __init__(self, path: str, values: dict[str, str]) -> None:
        self._path = path
        self._values = values
        self._known: set[str] = set()

    def text(self, name: str, default: str | None) -> str | None:
        self._known.add(name)
        return self._values.get(name) or default

    def count(self, name: str, default: _Count) -> int | _Count:
        value = self.text(name, None)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= MAX_RATE):
            raise InvalidSpec(f"{self._path}.{name}: {value!r} is not a whole number from 1 to {MAX_RATE}")
        return int(value)

    def hostname(self, default: str | None) -> str | None:
        value = self.text("hostname", None)
        path = f"{self._path}.hostname" if value else "spec.webEndpoint.hostname"
        refuse_bad_hostname(path, value or default)
        return value or default

    def refuse_others(self) -> None:
        for name in self._values:
            if name not in self._known:
                raise InvalidSpec(f"{self._path}.{name}: unknown; known are {', '.join(sorted(self._known))}")


def refuse_bad_hostname(field: str, value: str | None) -> None:
    """Raise InvalidSpec for a value that the Gateway API does not accept as host name, e.g. an address or a wildcard."""
    if value and not _HOSTNAME.fullmatch(value):
        raise InvalidSpec(
            f"{field}: {value!r} is not a host name: use a-z, 0-9 and - between dots, no address, no wildcard"
        )


def _refuse_bad_authority(oauth: OAuth | None) -> None:
    if oauth is None or oauth.certificate_authority is None:
        return
    try:
        ssl.create_default_context(cadata=oauth.certificate_authority)
    except (ssl.SSLError, TypeError) as error:
        field = "spec.webEndpoint.oauth.certificateAuthority"
        raise InvalidSpec(f"{field}: not a certificate in PEM") from error


def model(instance: SympoziumInstance, run: AgentRun | None = None) -> EffectiveModel:
    """Return the model that a run of an instance calls: the run's own, else the instance's.

    The keys in the instance's ``authRefs`` go to the instance's own address only, and to no Provider that the run names.
    """
    agent = instance.spec.agents.default
    refs = {ref.provider: ref.secret for ref in reversed(instance.spec.auth_refs)}
    first = instance.spec.auth_refs[0].provider if instance.spec.auth_refs else "openai"
    own = run.spec.model if run else None
    provider = (own and own.provider) or first
    of_instance = _without_slash(agent.base_url or OPENAI_BASE_URL)
    base_url = _without_slash(own.base_url) if own and own.base_url else of_instance
    is_own_server = base_url == of_instance and not (own and own.provider_ref)
    return EffectiveModel(
        name=(own and own.model) or agent.model,
        base_url=base_url,
        provider=provider,
        secret=(own and own.auth_secret_ref) or (refs.get(provider) if is_own_server else None),
    )


def _without_slash(base_url: str) -> str:
    return base_url if "?" in base_url else base_url.rstrip("/")


def calls_elsewhere(instance: SympoziumInstance, run: AgentRun) -> bool:
    """Return true if a run calls a model at another address than its instance does."""
    return model(instance, run).base_url != model(instance).base_url


def holds_api_keys(instance: SympoziumInstance, secret: str) -> bool:
    """Return true if a Secret holds API keys of callers, as far as its name and the instance show; no model may get them."""
    return is_api_key_secret(secret) or secret in named_api_key_secrets(instance)


def named_api_key_secrets(instance: SympoziumInstance) -> frozenset[str]:
    """Return the Secrets that an instance names for its callers' API keys, by whichever field."""
    params = [ref.params.get("auth_secret_ref") for ref in instance.spec.skills]
    return frozenset(filter(None, [instance.spec.web_endpoint.auth_secret_ref, *params]))


def warm_pool(instance: SympoziumInstance) -> WarmPool | None:
    """Return the instance's warm pool; without a web endpoint there is none, because idle pods wait there."""
    pool = instance.spec.agents.default.warm_pool
    return pool if max(pool.size, pool.max or 0) > 0 and web_endpoint_is_on(instance) else None


def may_be_warm(run: AgentRun) -> bool:
    """Return true if an idle pod of some instance can do a run: if the run has no key and no model server that no instance has."""
    own = run.spec.model
    return unsupported(run) is None and (
        own is None or (own.provider, own.base_url, own.auth_secret_ref) == (None, None, None)
    )


def claim_conflict(run: AgentRun) -> str | None:
    """Return the error of a run that names an idle pod and a model of its own; None: it does not.

    An idle pod has its instance's key, which would go to the run's address.
    """
    if run.claimed_pod is None or may_be_warm(run):
        return None
    return "spec.claim: an idle pod cannot be used by a run with a provider, baseURL or authSecretRef of its own; remove it"


def names_other_provider(run: AgentRun, instance: SympoziumInstance) -> bool:
    """Return true if a run's ``providerRef`` is another one than its instance's, whose idle pods do not have its key."""
    own = run.spec.model
    return own is not None and own.provider_ref not in (None, instance.spec.agents.default.provider_ref)


def is_claimable(run: AgentRun, instance: SympoziumInstance) -> bool:
    """Return true if an idle pod of the instance may be bound to a run that was created without one.

    That is a run that nobody waits for at an agent API, and one whose web-proxy or console lets it wait for an idle pod.
    """
    is_free = run.spec.claim is None and (awaits_idle_pod(run) or ANNOTATION_REPLY_TO not in run.metadata.annotations)
    return is_free and run.status.start is None and may_be_warm(run) and not names_other_provider(run, instance)


def awaits_idle_pod(run: AgentRun) -> bool:
    """Return true if the web-proxy or console that created a run lets it wait for an idle pod."""
    return ANNOTATION_AWAITS_IDLE_POD in run.metadata.annotations


def reply_to(run: AgentRun) -> str | None:
    """Return the base URL of the replica that holds a run's caller; None: there is none, or no URL."""
    url = run.metadata.annotations.get(ANNOTATION_REPLY_TO, "").rstrip("/")
    return url if _PLAUSIBLE_URL.fullmatch(url) else None


def unsupported(run: AgentRun) -> str | None:
    """Return the error of a run that uses a field that this version does not support; None: it uses none."""
    if run.spec.skills:
        return "spec.skills: not supported by this version; the run has the skills of its instance"
    return None


def key_names(provider: str) -> tuple[str, str]:
    """Return the keys under which a provider's Secret may hold its API key; the first that exists is used."""
    return f"{provider.upper().replace('-', '_')}_API_KEY", "api-key"


def timeout(instance: SympoziumInstance, run: AgentRun) -> int:
    """Return the longest duration of a run in seconds, from its start to its end."""
    return seconds(run.spec.timeout or instance.spec.agents.default.run_timeout)


def queue_timeout(instance: SympoziumInstance | None, default: int) -> int:
    """Return the longest time in seconds that a run may wait for its start; ``default`` is the installation's."""
    own = instance.spec.agents.default.queue_timeout if instance is not None else None
    return seconds(own) if own else default


def longest_wait(instance: SympoziumInstance, queue_default: int) -> int:
    """Return the seconds that a caller may have to wait for an answer: in the queue, and for the run itself."""
    return queue_timeout(instance, queue_default) + seconds(instance.spec.agents.default.run_timeout)


def skill_refs(instance: SympoziumInstance) -> dict[str, SkillRef]:
    """Return the skills of an instance's agents, by field: all but the web endpoint."""
    return {
        f"spec.skills[{index}]": ref
        for index, ref in enumerate(instance.spec.skills)
        if ref.skill_pack_ref != WEB_ENDPOINT_SKILL
    }


def refuse_unsupported(instance: SympoziumInstance) -> None:
    """Raise InvalidSpec for a field that this version does not support, instead of ignoring it silently."""
    spec = instance.spec
    unsupported_fields = {
        "spec.mcpServers": bool(spec.mcp_servers),
    }
    for field, present in unsupported_fields.items():
        if present:
            raise InvalidSpec(f"{field}: not supported by this version; remove it")
