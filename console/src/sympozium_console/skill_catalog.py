"""The SkillPacks that instances may name, with the parameters that an instance may set."""

import sys
from collections.abc import Sequence

from sympozium_api.resources import SKILL_PACKS, Object
from sympozium_api.skillpack import SkillPack
from sympozium_console.object_pages import ObjectPages


class SkillCatalog:
    """The SkillPacks of a cluster. ``built_in`` is the namespace of the packs that the chart installs."""

    def __init__(self, pages: ObjectPages, *, built_in: str) -> None:
        self._pages = pages
        self._built_in = built_in

    async def packs(self, namespace: str | None, namespaces: Sequence[str] | None = None) -> list[Object]:
        """Return all packs, or those that a namespace's instances may name; its own hide built-in packs of the same name.

        ``namespaces``: only those that a caller may see, and the built-in ones, which every instance may name.
        """
        if namespaces is not None:
            seen = sorted({*namespaces, self._built_in}) if namespaces else ()
            return [pack for one in seen for pack in await self._packs_in(one)]
        packs = await self._packs_in(namespace)
        if namespace not in (None, self._built_in):
            own = {pack["name"] for pack in packs}
            packs += [pack for pack in await self._packs_in(self._built_in) if pack["name"] not in own]
        return packs

    async def _packs_in(self, namespace: str | None) -> list[Object]:
        return (await self._pages.page(SKILL_PACKS, namespace, limit=sys.maxsize, view=self.summary)).items

    def summary(self, item: Object) -> Object:
        """Return a pack without its instructions and its container."""
        pack = SkillPack.model_validate(item)
        return {
            "name": pack.metadata.name,
            "namespace": pack.metadata.namespace,
            "builtIn": pack.metadata.namespace == self._built_in,
            "requiresServer": pack.spec.sidecar is not None and pack.spec.sidecar.requires_server,
            "skills": [{"name": skill.name, "description": skill.description} for skill in pack.spec.skills],
            "parameters": [parameter.model_dump(by_alias=True) for parameter in pack.spec.parameters],
            "phase": pack.status.phase,
        }
