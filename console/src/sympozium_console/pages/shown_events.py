"""Kubernetes' Events about an object, as pages show them. Anybody who may create Events has written them."""

from dataclasses import dataclass

from sympozium_api.client import Client
from sympozium_api.resources import EVENTS, Object, ResourceType

MOST = 100


@dataclass(frozen=True)
class ShownEvent:
    """One Event."""

    type: str
    reason: str
    message: str
    at: str
    """Time of its last occurrence, as it was written."""
    count: int


async def events_about(client: Client, kind: ResourceType, namespace: str, name: str, uid: str) -> list[ShownEvent]:
    """Return the Events about an object of this UID, the newest first, at most ``MOST``. Raises ApiError and ApiUnavailable."""
    about = f"involvedObject.kind={kind.kind},involvedObject.name={name}"
    found = await client.list(EVENTS, namespace, fieldSelector=about)
    shown = [_shown(event) for event in found if event["involvedObject"].get("uid") in (None, "", uid)]
    return sorted(shown, key=lambda event: event.at, reverse=True)[:MOST]


def _shown(event: Object) -> ShownEvent:
    at = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return ShownEvent(
        type=str(event.get("type") or "Normal"),
        reason=str(event.get("reason") or ""),
        message=str(event.get("message") or ""),
        at=str(at or ""),
        count=event.get("count") or 1,
    )
