"""Progress of the index: how far the lists have come that it begins with."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sympozium_api.client import RowPage

Scope = str | None
"""Namespace that is watched, or None for all at once."""


@dataclass
class _ListProgress:
    is_whole: bool = False
    read: int = 0
    expected: int | None = None


@dataclass
class IndexProgress:
    """Progress of the lists of all scopes. Whole: every run is in the table that Kubernetes had at one moment since the beginning."""

    scopes: Iterable[Scope]
    _lists: dict[Scope, _ListProgress] = field(init=False)

    def __post_init__(self) -> None:
        self._lists = {scope: _ListProgress() for scope in self.scopes}

    @property
    def is_whole(self) -> bool:
        """True once each scope's first list was read to its end. A later list leaves it true."""
        return all(progress.is_whole for progress in self._lists.values())

    @property
    def read(self) -> int:
        """Number of runs that the lists have read."""
        return sum(progress.read for progress in self._lists.values())

    @property
    def expected(self) -> int | None:
        """Number of runs that the lists will have read, as far as the API server told it; None before it told any."""
        known = [progress.expected for progress in self._lists.values()]
        return None if None in known else sum(number for number in known if number is not None)

    def page(self, scope: Scope, page: RowPage) -> None:
        """Count the rows of a page that are in the table now."""
        progress = self._lists[scope]
        progress.read = len(page.rows) + (0 if page.is_first else progress.read)
        progress.expected = progress.read + (page.remaining or 0)

    def whole(self, scope: Scope) -> None:
        """Note that a scope's list was read to its end, or that it cannot be read: then it holds up no other."""
        self._lists[scope].is_whole = True
        if self._lists[scope].expected is None:
            self._lists[scope].expected = 0
