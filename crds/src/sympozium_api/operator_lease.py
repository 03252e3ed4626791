"""Lease by which the operator's replicas elect the one that works, as a sign that one does. Pure."""

from datetime import datetime

from sympozium_api.resources import Object
from sympozium_api.timestamps import parse_timestamp

OPERATOR = "sympozium-operator"
"""Name of the operator's Deployment and Lease."""
_STALE_LEASES = 4
"""Durations of its Lease after which an operator that does not renew it does not work."""
_DURATION_SECONDS = 15


def fault(lease: Object | None, now: datetime) -> str:
    """Return why no operator works; empty: one does. ``lease`` None: there is none."""
    spec = (lease or {}).get("spec") or {}
    if not (renewed := spec.get("renewTime")):
        return "no operator has ever worked"
    age = (now - parse_timestamp(renewed)).total_seconds()
    if age > _STALE_LEASES * (spec.get("leaseDurationSeconds") or _DURATION_SECONDS):
        return f"no operator works: its lease is {age:.0f} s old"
    return ""
