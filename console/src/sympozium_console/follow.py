"""One run as it goes on: its status whenever it changes, and what Kubernetes' events say of it, as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from sympozium_api.client import Client, ResourceType, Snapshot, watch
from sympozium_api.client.resources import EVENTS, RUNS
from sympozium_api.run import TERMINAL_PHASES
from sympozium_runs.http import sse

Object = dict[str, Any]
Tell = Callable[[bytes], None]
"""Takes the next frame."""

_SHOWN = ("type", "reason", "message", "count", "lastTimestamp")


async def frames(
    client: Client, namespace: str, name: str, *, keep_alive_seconds: float, stop: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    """Frames until the run has ended or is gone, or ``stop`` is set; when it is closed, the watches end."""
    coming: asyncio.Queue[bytes | None] = asyncio.Queue()
    status = asyncio.create_task(_tell_status(client, namespace, name, coming.put_nowait))
    events = asyncio.create_task(_tell_events(client, namespace, name, coming.put_nowait))
    stopped = asyncio.create_task(stop.wait())
    for last in (status, stopped):
        last.add_done_callback(lambda _: coming.put_nowait(None))
    try:
        while True:
            try:
                frame = await asyncio.wait_for(coming.get(), keep_alive_seconds)
            except TimeoutError:
                frame = sse.KEEP_ALIVE
            if frame is None:
                break
            yield frame
        if status.done():
            status.result()
    finally:
        for task in (status, events, stopped):
            task.cancel()
        await asyncio.gather(status, events, stopped, return_exceptions=True)


async def _tell_status(client: Client, namespace: str, name: str, tell: Tell) -> None:
    """``status`` for each status that differs from the last one, and ``deleted`` when the run is gone."""
    last: Object | None = None
    async with aclosing(_versions(client, RUNS, namespace, f"metadata.name={name}")) as versions:
        async for run in versions:
            if run is None:
                tell(sse.data({"namespace": namespace, "name": name}, event="deleted"))
                return
            status = run.get("status", {})
            if status != last:
                tell(sse.data(status, event="status"))
            last = status
            if status.get("phase") in TERMINAL_PHASES:
                return


async def _tell_events(client: Client, namespace: str, name: str, tell: Tell) -> None:
    """``event`` for each Kubernetes event about the run, those of before included."""
    told: set[str] = set()
    selector = f"involvedObject.kind={RUNS.kind},involvedObject.name={name}"
    async with aclosing(_versions(client, EVENTS, namespace, selector)) as versions:
        async for event in versions:
            if event is not None and event["metadata"]["resourceVersion"] not in told:
                told.add(event["metadata"]["resourceVersion"])
                tell(sse.data({key: event.get(key) for key in _SHOWN}, event="event"))


async def _versions(
    client: Client, kind: ResourceType, namespace: str, selector: str
) -> AsyncGenerator[Object | None, None]:
    """The objects of a selection as they are and change; None: one of them is gone, or there is none."""
    async with aclosing(watch(client, kind, namespace, fieldSelector=selector)) as changes:
        async for change in changes:
            if isinstance(change, Snapshot):
                for item in change.items:
                    yield item
                if not change.items:
                    yield None
            else:
                yield None if change.deleted else change.object
