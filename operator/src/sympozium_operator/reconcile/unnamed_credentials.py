"""Removal of credentials that callers of the console have sent and that no object names (decision 0071)."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from sympozium_api import credentials, names
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.resources import (
    CONFIG_MAPS,
    CONFIGS,
    INSTANCES,
    PROVIDERS,
    SKILL_PACKS,
    TOOL_BINDINGS,
    TOOLS,
    Object,
)
from sympozium_operator.cluster.converge import delete
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded
from sympozium_operator.cluster.scoped_lists import ScopedLists

NAMING_KINDS = (INSTANCES, TOOLS, TOOL_BINDINGS, PROVIDERS, SKILL_PACKS, CONFIGS)
"""Kinds whose objects may name such a Secret. AgentRuns name only Secrets with a label that these never have."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class UnnamedCredentials:
    """The Secrets with credentials of callers, by the ConfigMaps that own them. The Secrets themselves are neither listed nor read."""

    client: Client
    clock: Clock
    lists: ScopedLists
    count_unreadable: CountUnreadable
    _since: dict[str, float] = field(default_factory=dict)
    """Time at which each was first seen unnamed, on the monotonic clock, by the ConfigMap's UID. A new leader begins again."""

    async def remove(self) -> None:
        """Delete those that no object has named for ``UNNAMED_SECONDS``. Where an object cannot be read, nothing is deleted."""
        labelled = await self.lists.metadata(CONFIG_MAPS, labelSelector=f"{names.LABEL_CREDENTIALS}=true")
        owners = [owner for owner in labelled if credentials.is_name(owner["metadata"]["name"])]
        of_namespace = defaultdict[str, list[Object]](list)
        for owner in owners:
            of_namespace[owner["metadata"]["namespace"]].append(owner)
        for gone in self._since.keys() - {owner["metadata"]["uid"] for owner in owners}:
            del self._since[gone]
        for namespace, own in of_namespace.items():
            with guarded(self.count_unreadable, CONFIG_MAPS, {"namespace": namespace}):
                await self._remove(namespace, own)

    async def _remove(self, namespace: str, owners: Sequence[Object]) -> None:
        named = await self._named(namespace, {owner["metadata"]["name"] for owner in owners})
        now = self.clock.monotonic()
        for owner in owners:
            name, uid = owner["metadata"]["name"], owner["metadata"]["uid"]
            if name in named:
                self._since.pop(uid, None)
            elif now - self._since.setdefault(uid, now) >= credentials.UNNAMED_SECONDS:
                await delete(self.client, CONFIG_MAPS, owner)
                log.info("credentials removed, because no object names them", namespace=namespace, name=name)

    async def _named(self, namespace: str, candidates: set[str]) -> frozenset[str]:
        """Return those of the names that an object of the namespace has."""
        named: frozenset[str] = frozenset()
        for kind in NAMING_KINDS:
            try:
                objects = await self.client.list(kind, namespace)
            except ApiError as error:
                if not error.not_found:
                    raise
                continue  # a cluster without this kind
            for body in objects:
                named |= credentials.named_in(json.dumps(body.get("spec")), candidates)
        return named
