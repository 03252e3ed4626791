"""Reconciler of SkillPacks: their status, and the instances that may use them."""

from dataclasses import dataclass

from sympozium_api.client import Client
from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.reading import read
from sympozium_api.resources import INSTANCES, SKILL_PACKS
from sympozium_api.skillpack import SkillPack
from sympozium_operator.cluster.references import web_endpoint_pack
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.policy.conditions import merge_patch
from sympozium_operator.policy.skill_resolution import pack_failure
from sympozium_operator.result import Key, Result


@dataclass(frozen=True, kw_only=True)
class SkillPackReconciler:
    """Reconciles SkillPacks."""

    client: Client
    namespace: str
    """Namespace of the operator: all namespaces may use its SkillPacks."""
    lists: ScopedLists
    has_home: bool = True
    """True if this process writes the statuses of the SkillPacks in the operator's namespace."""

    async def reconcile(self, key: Key) -> Result:
        """Reconcile a SkillPack."""
        raw = await self.client.find(SKILL_PACKS, key.namespace, key.name)
        if raw is not None and (self.has_home or key.namespace != self.namespace):
            await self._report(read(SkillPack, raw))
        return Result(spread=await self._users(key))

    async def _report(self, pack: SkillPack) -> None:
        failure = await self._failure(pack)
        status = {"phase": "Error" if failure else "Ready", "skillCount": len(pack.spec.skills)}
        before = pack.status.model_dump(by_alias=True, exclude_none=True)
        if patch := merge_patch(before, before | status):
            await self.client.patch(SKILL_PACKS, *pack.key, {"status": patch}, subresource="status")

    async def _failure(self, pack: SkillPack) -> object:
        if pack.metadata.name != WEB_ENDPOINT_SKILL:
            return pack_failure(pack)
        packs = await web_endpoint_pack(self.client, pack.metadata.namespace, self.namespace)
        return packs.failure or packs.refusal

    async def _users(self, key: Key) -> tuple[Key, ...]:
        if key.namespace == self.namespace:
            instances = await self.lists.metadata(INSTANCES)
        else:
            instances = await self.client.metadata(INSTANCES, key.namespace)
        return tuple(Key("instance", item["metadata"]["namespace"], item["metadata"]["name"]) for item in instances)
