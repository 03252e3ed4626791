"""SkillPacks, and the parameters that an instance may set for them."""

import sys

from sympozium_api.resources import SKILL_PACKS, Object
from sympozium_api.skillpack import SkillPack
from sympozium_console.listing import Listing


class Skills:
    """The SkillPacks of a cluster. ``built_in``: the namespace of those that came with the installation."""

    def __init__(self, listing: Listing, *, built_in: str) -> None:
        self._listing = listing
        self._built_in = built_in

    async def packs(self, namespace: str | None) -> list[Object]:
        """All packs; of a namespace: those that its instances may name, its own before built-in ones of the same name."""
        found = await self._all(namespace)
        if namespace not in (None, self._built_in):
            own = {pack["name"] for pack in found}
            found += [pack for pack in await self._all(self._built_in) if pack["name"] not in own]
        return found

    async def _all(self, namespace: str | None) -> list[Object]:
        return (await self._listing.page(SKILL_PACKS, namespace, limit=sys.maxsize, shown=self._shown)).items

    def _shown(self, item: Object) -> Object:
        """A pack without its instructions and its container."""
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
