"""Secrets that instances name for their callers' API keys: no other instance may have one of them as a model's key."""

import asyncio
from dataclasses import dataclass, field

from sympozium_api import effective
from sympozium_api.client import Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.reading import read
from sympozium_api.resources import INSTANCES
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded
from sympozium_operator.result import Key


@dataclass(frozen=True)
class _Named:
    """Secrets that an instance names."""

    callers: frozenset[str] = frozenset()
    """For its callers' API keys."""
    models: frozenset[str] = frozenset()
    """For its models' keys."""


_NOTHING = _Named()


@dataclass(frozen=True)
class CallerSecrets:
    """Index of these Secrets, by namespace and instance.

    A namespace's instances are listed once, when an instance of it has a model's key. From then on each reconcile of an
    instance updates the index.
    """

    client: Client
    count_unreadable: CountUnreadable
    _named: dict[str, dict[str, _Named]] = field(default_factory=dict)
    _listed: set[str] = field(default_factory=set)
    _being_listed: set[str] = field(default_factory=set)
    """The namespace whose list is under way: the list may show an instance as it was, so what is gone is remembered till its end."""
    _listing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def remember(self, instance: SympoziumInstance) -> list[Key]:
        """Take over what an instance names now; return the instances that have lost a model's key by it."""
        models = frozenset(ref.secret for ref in instance.spec.auth_refs)
        return self._set(*instance.key, _Named(effective.named_api_key_secrets(instance), models))

    def forget(self, namespace: str, name: str) -> None:
        """Forget an instance that is gone, and its namespace with the last one that names a Secret."""
        self._set(namespace, name, _NOTHING)
        if not self._named[namespace] and namespace not in self._being_listed:
            del self._named[namespace]
            self._listed.discard(namespace)

    async def of_others(self, instance: SympoziumInstance) -> frozenset[str]:
        """Return the Secrets with callers' API keys of the other instances of an instance's namespace.

        Raises ApiError, ApiUnavailable.
        """
        namespace, own = instance.key
        async with self._listing:
            if namespace not in self._listed:
                await self._list(namespace)
        others = (named.callers for name, named in self._named.get(namespace, {}).items() if name != own)
        return frozenset().union(*others)

    async def _list(self, namespace: str) -> None:
        self._being_listed.add(namespace)
        try:
            for item in await self.client.list(INSTANCES, namespace):
                with guarded(self.count_unreadable, INSTANCES, item["metadata"]):
                    found = read(SympoziumInstance, item)
                    if found.metadata.name not in self._named.get(namespace, {}):
                        self.remember(found)
            self._listed.add(namespace)
        finally:
            self._being_listed.remove(namespace)
            others = self._named.get(namespace, {})
            self._named[namespace] = {name: its for name, its in others.items() if its != _NOTHING}

    def _set(self, namespace: str, name: str, named: _Named) -> list[Key]:
        others = self._named.setdefault(namespace, {})
        taken = named.callers - others.pop(name, _NOTHING).callers
        losers = [Key("instance", namespace, other) for other, its in others.items() if its.models & taken]
        if named != _NOTHING or namespace in self._being_listed:
            others[name] = named
        return losers


async def no_secrets() -> frozenset[str]:
    """Return nothing, in place of ``of_others`` for an instance that gives no Secret to a model."""
    return frozenset()
