"""The part of a list that is shown: what the filter lets through, the first of it only. Pure."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sympozium_cli.tui.views.reading import Key

MOST_ROWS = 300
"""Rows that a list holds on the screen. A filter leads to the others."""


class Item(Protocol):
    """An object in a list."""

    @property
    def key(self) -> Key:
        """Namespace and name."""

    @property
    def order(self) -> Any:
        """Position in the list."""

    @property
    def search(self) -> str:
        """Text in small letters that a filter is looked for in."""


AnyItem = TypeVar("AnyItem", bound=Item)


@dataclass(frozen=True)
class Window(Generic[AnyItem]):
    """Items that are shown, first to last, and how many there are."""

    items: list[AnyItem]
    matching: int
    """Number of the items that the filter lets through."""
    total: int

    @property
    def counts(self) -> str:
        """The numbers in words, e.g. ``300 newest of 2000``."""
        shown = len(self.items)
        if shown < self.matching:
            return f"first {shown} of {self.matching}" + (
                f", {self.total} in all" if self.matching < self.total else ""
            )
        return f"{shown} of {self.total}" if shown < self.total else f"{self.total}"


def window(
    items: Iterable[AnyItem],
    text: str = "",
    accepts: Callable[[AnyItem], bool] | None = None,
    *,
    newest_first: bool = False,
    most: int = MOST_ROWS,
) -> Window[AnyItem]:
    """Return the first items that have all words of ``text`` and that ``accepts`` lets through. A word after ``!`` must be absent.

    First are those with the smallest ``order``, with ``newest_first`` those with the greatest.
    """
    words = text.lower().split()
    everything = list(items)
    found = [item for item in everything if accepts is None or accepts(item)]
    if words:
        found = [item for item in found if _has(item.search, words)]
    first = heapq.nlargest if newest_first else heapq.nsmallest
    shown = first(most, found, key=lambda item: item.order)
    return Window(shown, len(found), len(everything))


def _has(search: str, words: list[str]) -> bool:
    return all((word[1:] not in search) if word[0] == "!" and len(word) > 1 else word in search for word in words)
