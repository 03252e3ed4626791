"""One run as it goes on: its status whenever it changes, and what Kubernetes' events say of it, as server-sent events."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from sympozium_api.client import ApiError, ApiUnavailable, Client, ResourceType, Snapshot, watch
from sympozium_api.resources import EVENTS, RUNS, Object
from sympozium_api.run import TERMINAL_PHASES
from sympozium_http import sse

_SHOWN = ("type", "reason", "message", "count", "lastTimestamp")


async def frames(
    client: Client, namespace: str, name: str, *, keep_alive_seconds: float, stop: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    """Frames until the run has ended or is gone, or ``stop`` is set; when it is closed, the watches end."""
    coming: asyncio.Queue[bytes | None] = asyncio.Queue()
    following = _Following(client, namespace, name, coming.put_nowait)
    status = asyncio.create_task(following.status())
    events = asyncio.create_task(following.events())
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


class _Following:
    """Turns what happens to a run into frames."""

    def __init__(self, client: Client, namespace: str, name: str, tell: Callable[[bytes], None]) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._tell = tell
        self._about = f"involvedObject.kind={RUNS.kind},involvedObject.name={name}"
        self._told: set[str] = set()

    async def status(self) -> None:
        """``status`` for each one that differs from the last, the terminal one at the very end; ``deleted`` when the run is gone."""
        last: Object | None = None
        async with aclosing(self._versions(RUNS, f"metadata.name={self._name}")) as versions:
            async for run in versions:
                if run is None:
                    self._tell(sse.data({"namespace": self._namespace, "name": self._name}, event="deleted"))
                    return
                status = run.get("status", {})
                ended = status.get("phase") in TERMINAL_PHASES
                if ended:
                    await self._remaining_events()
                if status != last:
                    self._tell(sse.data(status, event="status"))
                last = status
                if ended:
                    return

    async def events(self) -> None:
        """``event`` for each Kubernetes event about the run, those of before included."""
        async with aclosing(self._versions(EVENTS, self._about)) as versions:
            async for event in versions:
                if event is not None:
                    self._event(event)

    async def _remaining_events(self) -> None:
        with contextlib.suppress(ApiError, ApiUnavailable):  # the status is what counts
            for event in await self._client.list(EVENTS, self._namespace, fieldSelector=self._about):
                self._event(event)

    def _event(self, event: Object) -> None:
        version = event["metadata"]["resourceVersion"]
        if version not in self._told:
            self._told.add(version)
            self._tell(sse.data({key: event.get(key) for key in _SHOWN}, event="event"))

    async def _versions(self, kind: ResourceType, selector: str) -> AsyncGenerator[Object | None, None]:
        """The objects of a selection as they are and change; None: one of them is gone, or there is none."""
        async with aclosing(watch(self._client, kind, self._namespace, fieldSelector=selector)) as changes:
            async for change in changes:
                if isinstance(change, Snapshot):
                    for item in change.items:
                        yield item
                    if not change.items:
                        yield None
                else:
                    yield None if change.deleted else change.object
