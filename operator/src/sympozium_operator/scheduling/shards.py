"""Shards: parts of the served namespaces, which several operators divide among themselves. Pure.

All objects of a namespace are of one shard, so that one process keeps the order and the limits of its runs. The operator's own
namespace is of shard 0, whose holder also does what the whole installation needs once.
"""

import zlib
from dataclasses import dataclass

from sympozium_operator.result import Key, KeyKind

_READ_BY_ALL: frozenset[KeyKind] = frozenset({"skillpack", "config", "policy"})
"""Kinds of which an object in the operator's namespace concerns instances of all namespaces."""


@dataclass(frozen=True)
class Shards:
    """Shards on which a process works."""

    home: str
    """Namespace of the operator."""
    count: int = 1
    """Number of shards, the same in all processes."""
    held: frozenset[int] = frozenset({0})

    @property
    def are_divided(self) -> bool:
        """True if other processes may work on other shards."""
        return self.count > 1

    @property
    def has_home(self) -> bool:
        """True if this process works on the operator's namespace, and does what the installation needs once."""
        return 0 in self.held

    @property
    def share(self) -> float:
        """Part of the work that this process does, above 0 to 1."""
        return len(self.held) / self.count

    def own(self, namespace: str) -> bool:
        """Return whether this process works on the objects of a namespace."""
        return len(self.held) == self.count or self.of(namespace) in self.held

    def take(self, key: Key) -> bool:
        """Return whether this process reconciles a key."""
        return self.own(key.namespace) or (key.namespace == self.home and key.kind in _READ_BY_ALL)

    def of(self, namespace: str) -> int:
        """Return the shard of a namespace. It depends on the name and the number of shards only."""
        return 0 if namespace == self.home else zlib.crc32(namespace.encode()) % self.count
