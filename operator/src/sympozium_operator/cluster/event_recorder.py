"""Recorder of Kubernetes Events (``kubectl describe``). It counts a repeated Event up instead of writing a second one."""

from collections import OrderedDict
from dataclasses import dataclass

import structlog

from sympozium_api.base import Resource
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.clock import Clock
from sympozium_api.event_body import event_body
from sympozium_api.names import FIELD_MANAGER
from sympozium_api.resources import EVENTS
from sympozium_api.timestamps import timestamp
from sympozium_operator.policy.event_messages import EventMessage

log = structlog.get_logger()

_REMEMBERED = 1024
"""Number of Events whose repetition is counted up."""


@dataclass
class _Written:
    name: str
    count: int = 1


class EventRecorder:
    """Writes Events. An Event that cannot be written is only logged, because it must not hold up the reconcile."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._written: OrderedDict[tuple[str, EventMessage], _Written] = OrderedDict()

    async def emit(self, subject: Resource, message: EventMessage) -> None:
        """Emit an Event about an object."""
        namespace, name = subject.key
        try:
            if not await self._count_up(subject, message):
                await self._create(subject, message)
        except (ApiError, ApiUnavailable) as error:
            log.warning("event not written", namespace=namespace, name=name, reason=message.reason, error=str(error))

    async def _count_up(self, subject: Resource, message: EventMessage) -> bool:
        """Count an earlier Event up; return False if there is none, or the API server has deleted it."""
        event = self._written.get((subject.metadata.uid, message))
        if event is None:
            return False
        change = {"count": event.count + 1, "lastTimestamp": timestamp(self._clock.now())}
        try:
            await self._client.patch(EVENTS, subject.metadata.namespace, event.name, change)
        except ApiError as error:
            if not error.not_found:
                raise
            return False
        event.count += 1
        return True

    async def _create(self, subject: Resource, message: EventMessage) -> None:
        body = event_body(
            subject,
            type=message.type,
            reason=message.reason,
            message=message.message,
            component=FIELD_MANAGER,
            now=self._clock.now(),
        )
        await self._client.create(EVENTS, subject.metadata.namespace, body)
        key = (subject.metadata.uid, message)
        self._written[key] = _Written(body["metadata"]["name"])
        self._written.move_to_end(key)
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)
