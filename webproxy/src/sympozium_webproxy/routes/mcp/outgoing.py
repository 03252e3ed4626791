"""Messages of one stream that wait until its client reads them."""

import asyncio
from typing import Generic, TypeVar

from sympozium_http.byte_budget import ByteBudget

_LARGEST_QUEUE = 4 * 1024 * 1024
"""Bytes that wait for one reader. The largest answer takes a fraction of it."""

_Item = TypeVar("_Item")


class OutgoingQueue(Generic[_Item]):
    """A queue in which each item's bytes are counted in the process's ByteBudget until the item is taken."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._items: asyncio.Queue[tuple[_Item, int]] = asyncio.Queue()
        self._size = 0

    @property
    def is_full(self) -> bool:
        """Return true if the reader is so far behind that nothing should be added."""
        return self._size > _LARGEST_QUEUE

    def put(self, item: _Item, size: int) -> None:
        """Add an item of this many bytes."""
        self._count(size)
        self._items.put_nowait((item, size))

    async def take(self) -> _Item:
        """Wait for an item, and return it."""
        item, size = await self._items.get()
        self._count(-size)
        return item

    def clear(self) -> None:
        """Drop all items."""
        while not self._items.empty():
            self._items.get_nowait()
        self._count(-self._size)

    def _count(self, size: int) -> None:
        self._size += size
        self._budget.add(size)
