"""The events of one instance as server-sent events: its status at each change, and the Kubernetes events about it."""

import asyncio
from collections.abc import AsyncGenerator

from sse_starlette import ServerSentEvent

from sympozium_api.client import Client
from sympozium_api.resources import INSTANCES, Object
from sympozium_console.object_watching import EventsAbout, Judge, right_ends, send_statuses
from sympozium_http.event_streams import sent_event


async def follow(
    client: Client,
    namespace: str,
    name: str,
    *,
    stop: asyncio.Event,
    judge: Judge,
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield events until the instance is deleted, ``stop`` is set, or the caller may not watch it any more.

    ``judge`` is asked again each minute.
    """
    queue: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()

    def send(event_type: str, data: Object) -> None:
        queue.put_nowait(sent_event(event_type, data))

    with_events = await judge()
    last = [
        asyncio.create_task(send_statuses(client, INSTANCES, namespace, name, send)),
        asyncio.create_task(right_ends(judge, with_events=bool(with_events))),
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
