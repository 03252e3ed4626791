"""Objects that the API server in memory stores, with an index by kind: lists of one kind do not read all others."""

from collections import defaultdict
from typing import Any

from sympozium_api.resources import Object

Key = tuple[str, str, str]
"""Plural, namespace, name."""


class StoredObjects(dict[Key, Object]):
    """All objects by their key, in the order in which they were made."""

    def __init__(self) -> None:
        super().__init__()
        self.by_plural: dict[str, dict[Key, Object]] = defaultdict(dict)

    def __setitem__(self, key: Key, body: Object) -> None:
        super().__setitem__(key, body)
        self.by_plural[key[0]][key] = body

    def pop(self, key: Key, *default: Any) -> Any:
        self.by_plural[key[0]].pop(key, None)
        return super().pop(key, *default)
