"""Pages of objects, read in small pieces: one object may hold more than a megabyte, and a page hundreds of objects."""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence

from sympozium_api.client import Client, ResourceType
from sympozium_api.client.collection import Collection
from sympozium_api.resources import Object

_PIECE = 10
"""Whole objects that one reader holds at a time."""
_READERS = 2
"""Concurrent readers, which bounds memory for any number of callers: 30 MB if every object has 1.5 MB, and four times that
during parsing.
"""

_CURSOR = "/"
"""End of the namespace in a cursor of several namespaces."""


class ObjectPages:
    """Reader of collections, shared by all callers of one console."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._readers = asyncio.Semaphore(_READERS)

    async def page(
        self,
        kind: ResourceType,
        namespace: str | None,
        *,
        limit: int,
        after: str = "",
        view: Callable[[Object], Object],
        **selectors: str,
    ) -> Collection:
        """Return at most ``limit`` objects, each reduced by ``view``, ordered by namespace and name."""
        items: list[Object] = []
        while True:
            async with self._readers:
                size = min(_PIECE, limit - len(items))
                piece = await self._client.page(kind, namespace, limit=size, after=after, **selectors)
                items += map(view, piece.items)
            after = piece.next_page
            if not after or len(items) >= limit:
                return Collection(items, piece.resource_version, after, piece.remaining)


PageReader = Callable[[str, int, str], Awaitable[Collection]]
"""Function that reads a page of one namespace: from the namespace, the number of objects at most, and the cursor of the page."""


async def page_of_namespaces(namespaces: Sequence[str], read: PageReader, *, limit: int, after: str = "") -> Collection:
    """Return at most ``limit`` objects of some namespaces, which are sorted. A cursor has the namespace in which the next page begins.

    No other namespace is read, so the cost is bounded by what the caller may see.
    """
    begin, _, cursor = after.partition(_CURSOR)
    items: list[Object] = []
    version = ""
    for namespace in namespaces[bisect_left(namespaces, begin) :]:
        if len(items) >= limit:
            return Collection(items, version, f"{namespace}{_CURSOR}")
        page = await read(namespace, limit - len(items), cursor if namespace == begin else "")
        items, version = items + page.items, page.resource_version
        if page.next_page:
            return Collection(items, version, f"{namespace}{_CURSOR}{page.next_page}")
    return Collection(items, version)


def list_body(kind: ResourceType, page: Collection) -> Object:
    """Return a page in the shape of a Kubernetes list."""
    metadata: Object = {"resourceVersion": page.resource_version}
    if page.next_page:
        metadata["continue"] = page.next_page
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    return {
        "apiVersion": kind.api_version,
        "kind": f"{kind.kind}List",
        "metadata": metadata,
        "items": page.items,
    }


def without_managed_fields(body: Object) -> Object:
    """Return an object without ``metadata.managedFields``, which are as long as the object and of no use to callers."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata}
