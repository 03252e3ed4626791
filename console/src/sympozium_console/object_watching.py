"""Watches of one object and of the Kubernetes events about it, for event streams."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from sympozium_api.client import ApiError, ApiUnavailable, Client, ResourceType, Snapshot, watch
from sympozium_api.resources import EVENTS, Object

_EVENT_FIELDS = ("type", "reason", "message", "count", "lastTimestamp")

_JUDGED_SECONDS = 60.0
"""Seconds after which the caller's right to a stream is judged again."""

Send = Callable[[str, Object], None]
"""Function that takes the type and the data of a server-sent event."""

Judge = Callable[[], Awaitable[bool | None]]
"""Function that returns whether a caller may see Kubernetes' Events, None if it may not watch the object either."""


async def versions(
    client: Client, kind: ResourceType, namespace: str, selector: str
) -> AsyncGenerator[Object | None, None]:
    """Yield each version of the objects that a field selector selects; yield None for a deletion or an empty selection."""
    async with aclosing(watch(client, kind, namespace, fieldSelector=selector)) as changes:
        async for change in changes:
            if isinstance(change, Snapshot):
                for item in change.items:
                    yield item
                if not change.items:
                    yield None
            else:
                yield None if change.deleted else change.object


async def send_statuses(
    client: Client,
    kind: ResourceType,
    namespace: str,
    name: str,
    send: Send,
    *,
    before_last: Callable[[Object], Awaitable[bool]] | None = None,
) -> None:
    """Send ``status`` for each new status of an object; send ``deleted`` and return if it is deleted.

    ``before_last`` is awaited for each version; it returns True for the last one, after whose status this function returns.
    """
    last: Object | None = None
    async with aclosing(versions(client, kind, namespace, f"metadata.name={name}")) as found:
        async for body in found:
            if body is None:
                send("deleted", {"namespace": namespace, "name": name})
                return
            is_last = before_last is not None and await before_last(body)
            status = body.get("status", {})
            if status != last:
                send("status", status)
            last = status
            if is_last:
                return


async def right_ends(judge: Judge, *, with_events: bool) -> None:
    """Return once the caller may see less than it is sent."""
    while True:
        await asyncio.sleep(_JUDGED_SECONDS)
        may = await judge()
        if may is None or (with_events and not may):
            return


class EventsAbout:
    """The Kubernetes events about one object, each sent as an ``event``, once."""

    def __init__(self, client: Client, kind: ResourceType, namespace: str, name: str, send: Send) -> None:
        self._client = client
        self._namespace = namespace
        self._send = send
        self._selector = f"involvedObject.kind={kind.kind},involvedObject.name={name}"
        self._sent: set[str] = set()

    async def follow(self) -> None:
        """Send each event, including past events."""
        async with aclosing(versions(self._client, EVENTS, self._namespace, self._selector)) as events:
            async for event in events:
                if event is not None:
                    self._send_once(event)

    async def send_remaining(self) -> None:
        """Send the events that ``follow`` has not sent yet, as far as the API server can be asked for them."""
        with contextlib.suppress(ApiError, ApiUnavailable):  # what comes after them matters more than complete events
            for event in await self._client.list(EVENTS, self._namespace, fieldSelector=self._selector):
                self._send_once(event)

    def _send_once(self, event: Object) -> None:
        version = event["metadata"]["resourceVersion"]
        if version not in self._sent:
            self._sent.add(version)
            self._send("event", {key: event.get(key) for key in _EVENT_FIELDS})
