"""The events of one instance as server-sent events: its status at each change, and the Kubernetes events about it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from sse_starlette import ServerSentEvent

from sympozium_api.client import Client
from sympozium_api.resources import INSTANCES, Object
from sympozium_console.object_watching import EventsAbout, Send, versions
from sympozium_http.sse import one_line

_LINE_END = "\n"
_JUDGED_SECONDS = 60.0
"""Seconds after which the caller's right to the stream is judged again."""


async def follow(
    client: Client,
    namespace: str,
    name: str,
    *,
    stop: asyncio.Event,
    may_see_events: Callable[[], Awaitable[bool | None]],
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield events until the instance is deleted, ``stop`` is set, or the caller may not watch it any more.

    ``may_see_events`` returns whether the caller may see Kubernetes' Events, None if it may not watch the instance either. It is asked
    again each minute.
    """
    queue: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()

    def send(event_type: str, data: Object) -> None:
        queue.put_nowait(ServerSentEvent(one_line(data).decode(), event=event_type, sep=_LINE_END))

    with_events = await may_see_events()
    last = [
        asyncio.create_task(_send_statuses(client, namespace, name, send)),
        asyncio.create_task(_right_ends(may_see_events, with_events=bool(with_events))),
        asyncio.create_task(stop.wait()),
    ]
    about = EventsAbout(client, INSTANCES, namespace, name, send)
    beside = [asyncio.create_task(about.follow())] if with_events else []
    for task in last:
        task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
    finally:
        for running in (*last, *beside):
            running.cancel()
        await asyncio.gather(*last, *beside, return_exceptions=True)


async def _send_statuses(client: Client, namespace: str, name: str, send: Send) -> None:
    """Send ``status`` for each new status; send ``deleted`` and return if the instance is deleted."""
    last: Object | None = None
    async with aclosing(versions(client, INSTANCES, namespace, f"metadata.name={name}")) as instances:
        async for instance in instances:
            if instance is None:
                send("deleted", {"namespace": namespace, "name": name})
                return
            status = instance.get("status", {})
            if status != last:
                send("status", status)
            last = status


async def _right_ends(may_see_events: Callable[[], Awaitable[bool | None]], *, with_events: bool) -> None:
    """Return once the caller may see less than it is sent."""
    while True:
        await asyncio.sleep(_JUDGED_SECONDS)
        may = await may_see_events()
        if may is None or (with_events and not may):
            return
