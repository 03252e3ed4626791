"""Gatherer of instances' skills: reads and checks the objects that they name, and keeps the result in one ConfigMap per instance."""

import asyncio
from dataclasses import dataclass

from sympozium_api import effective, names
from sympozium_api.client import Client
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SkillRef, SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS
from sympozium_operator.cluster.converge import Converger, remove
from sympozium_operator.cluster.references import skill_pack
from sympozium_operator.desired.instance_children import skills_config_map
from sympozium_operator.policy.skill_resolution import Source
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key


@dataclass(frozen=True)
class SkillGatherer:
    """Skills of all instances, for their reconciler."""

    client: Client
    converge: Converger
    namespace: str
    """Namespace of the operator, where built-in SkillPacks are."""
    poll: VersionPoll
    """Poll of the ConfigMaps that instances name."""

    async def sources(self, instance: SympoziumInstance) -> dict[str, Source]:
        """Return the objects that an instance's skills name, by the field."""
        self.poll.forget(Key("instance", *instance.key))
        refs = effective.skill_refs(instance)
        sources = await asyncio.gather(*(self._source(instance, ref) for ref in refs.values()))
        return dict(zip(refs, sources, strict=True))

    async def keep(self, instance: SympoziumInstance, installed: list[InstalledSkill]) -> None:
        """Write the skills into the instance's ConfigMap. An empty one shows that the named skills were read."""
        if effective.skill_refs(instance):
            await self.converge([skills_config_map(instance, installed)])
        else:
            await remove(self.client, CONFIG_MAPS, instance, names.installed_skills(instance.metadata.name))

    async def _source(self, instance: SympoziumInstance, ref: SkillRef) -> Source:
        namespace = instance.metadata.namespace
        if ref.skill_pack_ref:
            return await skill_pack(self.client, namespace, self.namespace, ref.skill_pack_ref)
        name = ref.config_map_ref or ""
        config_map = await self.client.find(CONFIG_MAPS, namespace, name)
        self.poll.remember(Key("instance", *instance.key), CONFIG_MAPS, name, config_map)
        return config_map
