"""Bounds of what a tenant may have, so that one of them fills neither etcd nor the memory of the processes that keep all objects."""

from dataclasses import dataclass


class TooMany(Exception):
    """An object that would exceed a bound; the message says which."""


@dataclass(frozen=True)
class TenantBounds:
    """Most objects of a tenant that callers may create. Those of kubectl count, and are not refused."""

    agents: int = 1000
    versions: int = 1000
    """Versions of one agent."""
    tools: int = 1000
    bindings: int = 5000
    """Bindings of tools to agents, of all agents together."""
