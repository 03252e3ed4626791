"""Pages of a collection whose bytes are bounded, whatever tenants have written into their objects."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Protocol

from sympozium_api.client.collection import Collection, CollectionTooLarge, Reading
from sympozium_api.client.rest import PAGE_BYTES
from sympozium_api.resources import ResourceType


class Pages(Protocol):
    """Reader of pages: a ``Client``."""

    async def page(
        self,
        kind: ResourceType,
        namespace: str | None,
        reading: Reading,
        /,
        *,
        limit: int,
        after: str,
        **selectors: str,
    ) -> Collection:
        """Read at most ``limit`` objects after a page."""


async def bounded_pages(
    client: Pages, kind: ResourceType, namespace: str | None, reading: Reading, /, *, limit: int, **selectors: str
) -> AsyncGenerator[Collection, None]:
    """Yield a collection in pages of at most ``limit`` objects, of fewer where they are large. Raises ApiError and ApiUnavailable."""
    after = ""
    while True:
        bounded = replace(reading, max_bytes=PAGE_BYTES if limit > 1 else None)
        try:
            page = await client.page(kind, namespace, bounded, limit=limit, after=after, **selectors)
        except CollectionTooLarge:
            limit = max(1, limit // 5)
            continue
        yield page
        if not (after := page.next_page):
            return
