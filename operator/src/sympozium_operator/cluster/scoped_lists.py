"""Lists over all served namespaces: one that was deleted, with the operator's rights in it, stops nothing in the others."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import Object, ResourceType
from sympozium_operator.cluster.object_guard import CountUnreadable

log = structlog.get_logger()


def _any_namespace(_: str) -> bool:
    return True


@dataclass(frozen=True)
class ScopedLists:
    """Lists of the objects that the operator serves. A named namespace that may not be read, or does not exist, is skipped."""

    client: Client
    scopes: tuple[str | None, ...]
    """Namespaces to list, or None for all at once."""
    count_unreadable: CountUnreadable
    own: Callable[[str], bool] = _any_namespace
    """True for a namespace on which this process works; objects of others are left out."""

    async def metadata(self, kind: ResourceType, **selectors: str) -> list[Object]:
        """Return the metadata of all objects of a kind."""
        return await self._of_all(kind, lambda scope: self.client.metadata(kind, scope, **selectors))

    async def rows(self, kind: ResourceType, **selectors: str) -> list[Object]:
        """Return the metadata of all objects of a kind, with their columns."""
        return await self._of_all(kind, lambda scope: self.client.rows(kind, scope, **selectors))

    async def objects(self, kind: ResourceType, **selectors: str) -> list[Object]:
        """Return all objects of a kind."""
        return await self._of_all(kind, lambda scope: self.client.list(kind, scope, **selectors))

    async def _of_all(self, kind: ResourceType, read: Callable[[str | None], Awaitable[list[Object]]]) -> list[Object]:
        items: list[Object] = []
        for scope in self.scopes:
            try:
                items += await read(scope)
            except ApiError as error:
                if scope is None or not (error.forbidden or error.not_found):
                    raise
                self.count_unreadable(kind.kind)
                log.warning("namespace skipped", kind=kind.kind, namespace=scope, error=str(error)[:500])
        return items if self.own is _any_namespace else [item for item in items if self.own(_namespace_of(item))]


def _namespace_of(item: Object) -> str:
    return str(item["metadata"].get("namespace", ""))
