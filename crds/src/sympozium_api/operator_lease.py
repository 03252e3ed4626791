"""Leases by which the operator's replicas share their work, one per shard, as a sign that operators work."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from sympozium_api.client import Client
from sympozium_api.resources import LEASES, Object
from sympozium_api.timestamps import parse_timestamp

OPERATOR = "sympozium-operator"
"""Name of the operator's Deployment, and of the Lease of shard 0."""
MOST_SHARDS = 32
"""Most shards that an installation can have."""
_STALE_LEASES = 4
"""Durations of its Lease after which an operator that does not renew it does not work."""
_DURATION_SECONDS = 15


def lease_name(shard: int) -> str:
    """Return the name of a shard's Lease."""
    return f"{OPERATOR}-{shard}" if shard else OPERATOR


def holder(identity: str, shards: int) -> str:
    """Return how a replica names itself in a Lease: with the number of shards, which all replicas must agree on, if there are several."""
    return f"{identity}/{shards}" if shards > 1 else identity


def shards_of(holder: str) -> int:
    """Return the number of shards by which the holder of a Lease divides the work."""
    number = holder.rpartition("/")[2]
    return int(number) if "/" in holder and number.isdecimal() else 1


async def read_leases(client: Client, namespace: str) -> list[Object | None]:
    """Return the Leases of all shards, as many as the holder of the first one says; None: a Lease is missing. Raises ApiError."""
    first = await client.find(LEASES, namespace, OPERATOR)
    shards = min(shards_of(str(_spec(first).get("holderIdentity") or "")), MOST_SHARDS)
    others = (client.find(LEASES, namespace, lease_name(shard)) for shard in range(1, shards))
    return [first, *await asyncio.gather(*others)]


def fault(leases: Sequence[Object | None], now: datetime) -> str:
    """Return why no operator works, or none on one of the shards; empty: on each shard an operator works."""
    for shard, lease in enumerate(leases):
        if found := _fault(lease, now, f" on shard {shard} of {len(leases)}" if len(leases) > 1 else ""):
            return found
    return ""


def holders(leases: Sequence[Object | None]) -> list[str]:
    """Return the replicas that hold Leases, each once."""
    found = (str(_spec(lease).get("holderIdentity") or "").partition("/")[0] for lease in leases)
    return sorted({name for name in found if name})


def _fault(lease: Object | None, now: datetime, where: str) -> str:
    spec = _spec(lease)
    if not (renewed := spec.get("renewTime")):
        return f"no operator has ever worked{where}"
    age = (now - parse_timestamp(renewed)).total_seconds()
    if age > _STALE_LEASES * (spec.get("leaseDurationSeconds") or _DURATION_SECONDS):
        return f"no operator works{where}: its lease is {age:.0f} s old"
    return ""


def _spec(lease: Object | None) -> Object:
    return (lease or {}).get("spec") or {}
