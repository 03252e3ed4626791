"""Providers as agents call them, read once for all instances that name them; and which instances those are."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from sympozium_api import model_targets
from sympozium_api.client import Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.provider import Provider
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import PROVIDERS, SECRETS, Object
from sympozium_api.tool_check import Flaw
from sympozium_operator.policy import provider_plan, provider_resolution
from sympozium_operator.policy.provider_resolution import NOT_FOUND, InstanceModels, ResolvedProvider
from sympozium_operator.result import Key

Name = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class ReadProvider:
    """A Provider and the metadata of its Secrets as they were read."""

    provider: Provider
    secret: Object | None
    headers: Object | None


@dataclass(frozen=True)
class ProviderDirectory:
    """Providers by name. The reconciler of a Provider refreshes it at each change."""

    client: Client
    _known: dict[Name, ResolvedProvider] = field(default_factory=dict)
    _users: dict[Name, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Instances that name a Provider, and the first model that each names of it."""
    _named: dict[Name, tuple[str, ...]] = field(default_factory=dict)
    """Providers that an instance names."""

    def remember(self, instance: SympoziumInstance) -> None:
        """Take over which Providers an instance names now."""
        self._set(*instance.key, model_targets.named_models(instance))

    def forget_instance(self, namespace: str, name: str) -> None:
        """Forget an instance that is gone."""
        self._set(namespace, name, {})

    def users(self, namespace: str, name: str) -> tuple[Key, ...]:
        """Return the instances that name a Provider."""
        return tuple(Key("instance", namespace, user) for user in sorted(self._users.get((namespace, name), ())))

    def models(self, namespace: str, name: str) -> frozenset[str]:
        """Return the models of a Provider that instances name."""
        return frozenset(self._users.get((namespace, name), {}).values())

    def put(self, namespace: str, name: str, resolved: ResolvedProvider) -> bool:
        """Store a Provider as it is now; return whether it has changed."""
        before = self._known.get((namespace, name))
        if resolved is NOT_FOUND and not self._users.get((namespace, name)):
            self._known.pop((namespace, name), None)  # else each name that somebody ever wrote would stay
        else:
            self._known[namespace, name] = resolved
        return before != resolved

    async def get(self, namespace: str, name: str) -> ResolvedProvider:
        """Return a Provider, which is read if it is not known yet."""
        known = self._known.get((namespace, name))
        if known is None:
            found = (await self.load(namespace, name))[1]
            known = self._known.get(
                (namespace, name)
            )  # the Provider's reconciler may have stored a newer state meanwhile
            if known is None:
                known = found
                self.put(namespace, name, known)
        return known

    async def load(self, namespace: str, name: str) -> tuple[ReadProvider | None, ResolvedProvider]:
        """Return a Provider as it is at the API server. One that cannot be read has a flaw, and is None itself."""
        raw = await self.client.find(PROVIDERS, namespace, name)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            return None, NOT_FOUND
        try:
            provider = read(Provider, raw)
        except Unreadable as failure:
            return None, ResolvedProvider(Flaw("InvalidSpec", failure.fields))
        spec = provider.spec
        secret = await self._secret(namespace, spec.secret_ref)
        headers = await self._secret(namespace, spec.headers_secret_ref)
        flaw = provider_resolution.flaw_of(provider, secret, headers) or provider_plan.entries_flaw(provider)
        resolved = provider_resolution.resolve(provider, secret, headers, flaw, provider_plan.reachable_of(provider))
        return ReadProvider(provider, secret, headers), resolved

    async def of_instance(self, instance: SympoziumInstance, callers: Collection[str] = ()) -> InstanceModels:
        """Return the models of an instance. ``callers``: Secrets that other instances name for their callers' API keys."""
        namespace = instance.metadata.namespace
        named = model_targets.named_models(instance)
        found = {name: await self.get(namespace, name) for name in named}
        return provider_resolution.of_instance(instance, found, callers)

    async def _secret(self, namespace: str, name: str | None) -> Object | None:
        return await self.client.find_metadata(SECRETS, namespace, name) if name else None

    def _set(self, namespace: str, name: str, models: dict[str, str]) -> None:
        key = (namespace, name)
        for provider in self._named.pop(key, ()):
            users = self._users[namespace, provider]
            users.pop(name, None)
            if not users:
                del self._users[namespace, provider]
        if models:
            self._named[key] = tuple(models)
        for provider, model in models.items():
            self._users[namespace, provider][name] = model
