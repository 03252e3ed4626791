"""The SkillPacks that instances may name, with the parameters that an instance may set."""

import sys
from collections.abc import Sequence

from sympozium_api.resources import SKILL_PACKS, Object
from sympozium_api.skillpack import SkillPack
from sympozium_domain.object_pages import ObjectPages, without_managed_fields


class SkillCatalog:
    """The SkillPacks in ``scopes``, namespaces or None for all. ``built_in`` is the namespace of the packs that the chart installs."""

    def __init__(self, pages: ObjectPages, *, built_in: str, scopes: Sequence[str | None] = (None,)) -> None:
        self._pages = pages
        self._built_in = built_in
        self._scopes = scopes

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

    async def find(self, namespace: str, name: str) -> Object | None:
        """Return the pack that a namespace's instances mean by a name: the namespace's own, else the built-in one, else None."""
        for where in dict.fromkeys((namespace, self._built_in)):
            for pack in await self._named(where, name):
                return pack
        return None

    def is_built_in(self, pack: Object) -> bool:
        """Return True for a pack that instances of every namespace may name."""
        return bool(pack["metadata"]["namespace"] == self._built_in)

    async def namespaces_with(self, name: str) -> frozenset[str]:
        """Return the namespaces that have a pack of this name and are not the built-in packs' own."""
        packs = [pack for scope in self._scopes for pack in await self._named(scope, name)]
        return frozenset(pack["metadata"]["namespace"] for pack in packs) - {self._built_in}

    async def _named(self, namespace: str | None, name: str) -> list[Object]:
        selector = f"metadata.name={name}"
        page = await self._pages.page(
            SKILL_PACKS, namespace, limit=sys.maxsize, view=without_managed_fields, fieldSelector=selector
        )
        return page.items

    async def _packs_in(self, namespace: str | None) -> list[Object]:
        return (await self._pages.page(SKILL_PACKS, namespace, limit=sys.maxsize, view=self.summary)).items

    def summary(self, item: Object) -> Object:
        """Return a pack without its instructions and its container."""
        pack = SkillPack.model_validate(item)
        return {
            "name": pack.metadata.name,
            "namespace": pack.metadata.namespace,
            "builtIn": self.is_built_in(item),
            "requiresServer": pack.spec.sidecar is not None and pack.spec.sidecar.requires_server,
            "skills": [{"name": skill.name, "description": skill.description} for skill in pack.spec.skills],
            "parameters": [parameter.model_dump(by_alias=True) for parameter in pack.spec.parameters],
            "phase": pack.status.phase,
        }
