"""Gatherer of instances' skills: reads and checks the objects that they name, and keeps the result in one ConfigMap per instance."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sympozium_api import effective, names
from sympozium_api.client import Client
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SkillRef, SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS
from sympozium_operator.cluster.converge import converge, remove
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded
from sympozium_operator.cluster.references import skill_pack
from sympozium_operator.desired.instance_children import skills_config_map
from sympozium_operator.policy.skill_resolution import Source
from sympozium_operator.result import Key
from sympozium_operator.scheduling.pace import Pace


@dataclass(frozen=True)
class SkillGatherer:
    """Skills of all instances, for their reconciler."""

    client: Client
    namespace: str
    """Namespace of the operator, where built-in SkillPacks are."""
    count_unreadable: CountUnreadable
    pace: Pace
    """Pace of the checks, shared with all other polls."""
    _seen: dict[tuple[str, str], dict[str, str | None]] = field(default_factory=dict)
    """Names and resource versions of the ConfigMaps that instances name, by the instance's key; None: it did not exist."""

    async def sources(self, instance: SympoziumInstance) -> dict[str, Source]:
        """Return the objects that an instance's skills name, by the field."""
        self.forget(*instance.key)
        refs = effective.skill_refs(instance)
        sources = await asyncio.gather(*(self._source(instance, ref) for ref in refs.values()))
        return dict(zip(refs, sources, strict=True))

    async def keep(self, instance: SympoziumInstance, installed: list[InstalledSkill]) -> None:
        """Write the skills into the instance's ConfigMap. An empty one shows that the named skills were read."""
        if effective.skill_refs(instance):
            await converge(self.client, [skills_config_map(instance, installed)])
        else:
            await remove(self.client, CONFIG_MAPS, instance, names.installed_skills(instance.metadata.name))

    def forget(self, namespace: str, name: str) -> None:
        """Forget an instance that is gone, or about to be read again."""
        self._seen.pop((namespace, name), None)

    async def changed(self) -> AsyncIterator[Key]:
        """Yield the instances that name a ConfigMap that has changed, each once: their next reconcile reads it."""
        for instance, versions in list(self._seen.items()):
            for name, version in list(versions.items()):
                await self.pace.step()
                with guarded(self.count_unreadable, CONFIG_MAPS, {"namespace": instance[0], "name": name}):
                    if version != await self._version(instance[0], name):
                        self.forget(*instance)
                        yield Key("instance", *instance)
                        break

    async def _source(self, instance: SympoziumInstance, ref: SkillRef) -> Source:
        namespace = instance.metadata.namespace
        if ref.skill_pack_ref:
            return await skill_pack(self.client, namespace, self.namespace, ref.skill_pack_ref)
        name = ref.config_map_ref or ""
        config_map = await self.client.find(CONFIG_MAPS, namespace, name)
        version = config_map["metadata"]["resourceVersion"] if config_map else None
        self._seen.setdefault(instance.key, {})[name] = version
        return config_map

    async def _version(self, namespace: str, name: str) -> str | None:
        """Return the resource version without the content, which may be a megabyte."""
        config_maps = await self.client.metadata(CONFIG_MAPS, namespace, fieldSelector=f"metadata.name={name}")
        return config_maps[0]["metadata"]["resourceVersion"] if config_maps else None
