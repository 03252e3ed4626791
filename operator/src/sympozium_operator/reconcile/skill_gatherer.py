"""Gatherer of instances' skills: reads and checks the objects that they name, and keeps the result in one ConfigMap per instance."""

import asyncio
from dataclasses import dataclass

from sympozium_api import agent_document, effective, installed_skills, names
from sympozium_api.agent_document import AgentDocument
from sympozium_api.client import Client
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SkillRef, SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS, Object
from sympozium_operator.cluster.converge import Converger, remove
from sympozium_operator.cluster.references import skill_pack
from sympozium_operator.desired.instance_children import gathered_config_map
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

    async def keep(
        self, instance: SympoziumInstance, installed: list[InstalledSkill], document: AgentDocument | None
    ) -> None:
        """Write skills and tools into the instance's ConfigMap. Empty skills show that the named ones were read."""
        await self._write(instance, installed if effective.skill_refs(instance) else None, document)

    async def keep_document(self, instance: SympoziumInstance, document: AgentDocument | None) -> None:
        """Write a document and leave the skills as they are, because the spec that names others is not accepted."""
        await self._write(instance, installed_skills.of_config_map(await self._gathered(instance)), document)

    async def document(self, instance: SympoziumInstance) -> AgentDocument | None:
        """Return the document that is in the instance's ConfigMap."""
        return agent_document.of_config_map(await self._gathered(instance))

    async def _gathered(self, instance: SympoziumInstance) -> Object | None:
        metadata = instance.metadata
        return await self.client.find(CONFIG_MAPS, metadata.namespace, names.installed_skills(metadata.name))

    async def _write(
        self, instance: SympoziumInstance, installed: list[InstalledSkill] | None, document: AgentDocument | None
    ) -> None:
        if installed is None and document is None:
            await remove(self.client, CONFIG_MAPS, instance, names.installed_skills(instance.metadata.name))
        else:
            await self.converge([gathered_config_map(instance, installed, document)])

    async def _source(self, instance: SympoziumInstance, ref: SkillRef) -> Source:
        namespace = instance.metadata.namespace
        if ref.skill_pack_ref:
            return await skill_pack(self.client, namespace, self.namespace, ref.skill_pack_ref)
        name = ref.config_map_ref or ""
        config_map = await self.client.find(CONFIG_MAPS, namespace, name)
        self.poll.remember(Key("instance", *instance.key), CONFIG_MAPS, name, config_map)
        return config_map
