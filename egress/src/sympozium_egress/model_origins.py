"""Hosts and ports of the model servers that an agent or a run may call, read from the cluster's objects."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sympozium_api import effective, effective_policy, model_targets, policy_check, provider_check
from sympozium_api.client import Client
from sympozium_api.effective_policy import Denial, EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy_reader import PolicyReader
from sympozium_api.provider import Provider
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import INSTANCES, PROVIDERS
from sympozium_api.run import AgentRun
from sympozium_egress.policy.tunnel_request import origin_of

_FRESH_SECONDS = 1.0
"""Seconds for which an instance's servers are not read again: so long may a change take until it counts."""
_MOST_KEPT = 10_000

Origin = tuple[str, int]


@dataclass(frozen=True)
class Origins:
    """Origins of the model servers of an instance or a run."""

    allowed: frozenset[Origin] = frozenset()
    denied: Mapping[Origin, Denial] = field(default_factory=dict)
    """Origins that a SympoziumPolicy does not allow."""
    policy: EffectivePolicy | None = None
    """Policy that binds the instance."""


class ModelOrigins:
    """Reader of origins. Every method may raise ApiError and ApiUnavailable."""

    def __init__(self, client: Client, policies: PolicyReader, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._policies = policies
        self._clock = clock
        self._kept: dict[tuple[str, str, str], tuple[float, Origins]] = {}

    async def of(self, namespace: str, agent: str, run: AgentRun | None) -> Origins:
        """Return the origins of an instance's model servers, or of its run's. An instance that cannot be read has none."""
        own = run.spec.model if run else None
        key = namespace, agent, "" if own is None else own.model_dump_json()
        kept = self._kept.get(key)
        if kept and self._clock() - kept[0] < _FRESH_SECONDS:
            return kept[1]
        body = await self._client.find(INSTANCES, namespace, agent)
        try:
            instance = read(SympoziumInstance, body) if body else None
        except Unreadable:
            instance = None
        origins = Origins() if instance is None else await self._origins(namespace, instance, run)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[key] = self._clock(), origins
        return origins

    async def _origins(self, namespace: str, instance: SympoziumInstance, run: AgentRun | None) -> Origins:
        policy = await self._policies.effective(instance)
        names = sorted(_providers(instance, run))
        called = dict(zip(names, await asyncio.gather(*(self._base(namespace, name) for name in names)), strict=True))
        if _calls_base_url(instance, run):
            called[effective_policy.WITHOUT_PROVIDER] = effective.model(instance, run).base_url
        allowed, denied = set[Origin](), dict[Origin, Denial]()
        for name, base in called.items():
            if not base or (origin := origin_of(base)) is None:
                continue
            denial = effective_policy.listed(policy, "providers", name) or policy_check.of_address(policy, base)
            if denial is None:
                allowed.add(origin)
            else:
                denied[origin] = denial
        return Origins(frozenset(allowed), denied, policy)

    async def _base(self, namespace: str, name: str) -> str | None:
        """Return the address of a Provider; None if there is no such Provider, or nobody may call it."""
        body = await self._client.find(PROVIDERS, namespace, name)
        try:
            provider = read(Provider, body) if body else None
        except Unreadable:
            return None
        return provider_check.base_url(provider) or None if provider and provider.spec.enabled else None


def _calls_base_url(instance: SympoziumInstance, run: AgentRun | None) -> bool:
    """Return true if an address of the instance or of the run itself is called, and not a Provider's."""
    own = run.spec.model if run else None
    if own and own.provider_ref:
        return False
    return bool(own and own.base_url) or instance.spec.agents.default.provider_ref is None


def _providers(instance: SympoziumInstance, run: AgentRun | None) -> set[str]:
    own = run.spec.model if run else None
    if own and own.provider_ref:
        return {own.provider_ref}
    if own and own.base_url:
        return set()
    return {*model_targets.named_models(instance), *([own.provider] if own and own.provider else [])}
