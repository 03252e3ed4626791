"""Pages of objects, read in small pieces: a single object may hold more than a megabyte, and a page hundreds of them."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from sympozium_api.client import Client, ResourceType
from sympozium_api.client.rest import Collection

Object = dict[str, Any]

_AT_ONCE = 20
"""Objects that are held whole at the same time."""


async def page(
    client: Client,
    kind: ResourceType,
    namespace: str | None,
    *,
    limit: int,
    after: str,
    shown: Callable[[Object], Object],
    selectors: dict[str, str],
) -> Collection:
    """At most ``limit`` objects, each as ``shown`` has it, ordered by namespace and name."""
    items: list[Object] = []
    while True:
        found = await client.page(kind, namespace, limit=min(_AT_ONCE, limit - len(items)), after=after, **selectors)
        items += map(shown, found.items)
        after = found.next_page
        if not after or len(items) >= limit:
            return Collection(items, found.resource_version, after, found.remaining)


async def every(client: Client, kind: ResourceType, namespace: str | None) -> AsyncIterator[Object]:
    """All objects of a kind, one after the other."""
    after = ""
    while True:
        found = await client.page(kind, namespace, limit=_AT_ONCE, after=after)
        for item in found.items:
            yield item
        after = found.next_page
        if not after:
            return


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
