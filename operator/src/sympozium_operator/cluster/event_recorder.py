"""Recorder of Kubernetes Events (``kubectl describe``). It counts a repeated Event up instead of writing a second one.

core/v1 and not events.k8s.io: kubectl shows the count of the former, and both are one object to the API server.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import structlog

from sympozium_api.base import Resource
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.clock import Clock
from sympozium_api.names import FIELD_MANAGER
from sympozium_api.resources import EVENTS
from sympozium_api.timestamps import timestamp
from sympozium_operator.policy.event_messages import EventMessage

log = structlog.get_logger()

_REMEMBERED = 1024
"""Number of Events whose repetition is counted up."""


@dataclass
class _Told:
    name: str
    count: int = 1


class EventRecorder:
    """Writes Events. An Event that cannot be written is only logged, because it must not hold up the reconcile."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._told: OrderedDict[tuple[str, EventMessage], _Told] = OrderedDict()

    async def emit(self, about: Resource, news: EventMessage) -> None:
        """Emit an Event about an object."""
        namespace, name = about.key
        try:
            if not await self._again(about, news):
                await self._first(about, news)
        except (ApiError, ApiUnavailable) as error:
            log.warning("event not written", namespace=namespace, name=name, reason=news.reason, error=str(error))

    async def _again(self, about: Resource, news: EventMessage) -> bool:
        """Count an earlier Event up; return False if there is none, or the API server has deleted it."""
        told = self._told.get((about.metadata.uid, news))
        if told is None:
            return False
        again = {"count": told.count + 1, "lastTimestamp": timestamp(self._clock.now())}
        try:
            await self._client.patch(EVENTS, about.metadata.namespace, told.name, again)
        except ApiError as error:
            if not error.not_found:
                raise
            return False
        told.count += 1
        return True

    async def _first(self, about: Resource, news: EventMessage) -> None:
        body = self._event(about, news)
        await self._client.create(EVENTS, about.metadata.namespace, body)
        key = (about.metadata.uid, news)
        self._told[key] = _Told(body["metadata"]["name"])
        self._told.move_to_end(key)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    def _event(self, about: Resource, news: EventMessage) -> dict[str, Any]:
        namespace, name = about.key
        now = timestamp(self._clock.now())
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{name}.{secrets.token_hex(8)}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": namespace,
                "name": name,
                "uid": about.metadata.uid,
            },
            "type": news.type,
            "reason": news.reason,
            "message": news.message[:1024],
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
