"""Pages of objects, read in small pieces: a single object may hold more than a megabyte, and a page hundreds of them."""

import asyncio
from collections.abc import Callable

from sympozium_api.client import Client, ResourceType
from sympozium_api.client.rest import Collection
from sympozium_api.resources import Object

_AT_ONCE = 10
"""Objects that one reader holds whole."""
_READERS = 2
"""Readers at the same time, so that memory is bounded however many callers there are: 30 MB where all objects have 1.5 MB, and
four times that while they are parsed.
"""


class Listing:
    """Reads collections for all callers of one console."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(_READERS)

    async def page(
        self,
        kind: ResourceType,
        namespace: str | None,
        *,
        limit: int,
        after: str = "",
        shown: Callable[[Object], Object],
        **selectors: str,
    ) -> Collection:
        """At most ``limit`` objects, each as ``shown`` has it, ordered by namespace and name."""
        items: list[Object] = []
        while True:
            async with self._turns:
                size = min(_AT_ONCE, limit - len(items))
                found = await self._client.page(kind, namespace, limit=size, after=after, **selectors)
                items += map(shown, found.items)
            after = found.next_page
            if not after or len(items) >= limit:
                return Collection(items, found.resource_version, after, found.remaining)


def answered(kind: ResourceType, found: Collection) -> Object:
    """A page as Kubernetes writes a list."""
    metadata: Object = {"resourceVersion": found.resource_version}
    if found.next_page:
        metadata["continue"] = found.next_page
    if found.remaining is not None:
        metadata["remainingItemCount"] = found.remaining
    return {
        "apiVersion": kind.api_version,
        "kind": f"{kind.kind}List",
        "metadata": metadata,
        "items": found.items,
    }


def plain(body: Object) -> Object:
    """An object without the record of who set which field: it is as long as the object, and nobody's who reads here."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata}
