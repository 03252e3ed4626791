"""The events of one run: its status at each change, and the Kubernetes events about it, as server-sent events."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from sse_starlette import EventSourceResponse, ServerSentEvent

from sympozium_api.client import ApiError, ApiUnavailable, Client, ResourceType, Snapshot, watch
from sympozium_api.resources import EVENTS, RUNS, Object
from sympozium_api.run import TERMINAL_PHASES
from sympozium_http.sse import one_line

_LINE_END = "\n"
_HEADERS = {"Cache-Control": "no-cache"}
_EVENT_FIELDS = ("type", "reason", "message", "count", "lastTimestamp")


def stream(
    client: Client, namespace: str, name: str, *, keep_alive_seconds: float, stop: asyncio.Event
) -> EventSourceResponse:
    """Return the response that streams a run's events, with a comment every ``keep_alive_seconds``.

    The stream ends when the run has ended or is deleted, when the caller disconnects, or when ``stop`` is set, which the
    serving layer does as it begins to drain.
    """
    return EventSourceResponse(
        follow(client, namespace, name, stop=stop),
        headers=_HEADERS,
        sep=_LINE_END,
        ping=keep_alive_seconds,
        ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep=_LINE_END),
    )


async def follow(
    client: Client, namespace: str, name: str, *, stop: asyncio.Event
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield events until the run has ended or is deleted, or ``stop`` is set; end the watches when closed."""
    queue: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()
    watcher = _RunWatcher(client, namespace, name, queue.put_nowait)
    statuses = asyncio.create_task(watcher.watch_status())
    events = asyncio.create_task(watcher.watch_events())
    stopped = asyncio.create_task(stop.wait())
    for last in (statuses, stopped):
        last.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        if statuses.done():
            statuses.result()
    finally:
        for task in (statuses, events, stopped):
            task.cancel()
        await asyncio.gather(statuses, events, stopped, return_exceptions=True)


class _RunWatcher:
    """Watches of one run and of the Kubernetes events about it, each change emitted as a server-sent event."""

    def __init__(self, client: Client, namespace: str, name: str, emit: Callable[[ServerSentEvent], None]) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._emit = emit
        self._selector = f"involvedObject.kind={RUNS.kind},involvedObject.name={name}"
        self._emitted: set[str] = set()

    async def watch_status(self) -> None:
        """Emit ``status`` for each new status, the terminal one last; emit ``deleted`` if the run is deleted."""
        last: Object | None = None
        async with aclosing(self._versions(RUNS, f"metadata.name={self._name}")) as versions:
            async for run in versions:
                if run is None:
                    self._send("deleted", {"namespace": self._namespace, "name": self._name})
                    return
                status = run.get("status", {})
                ended = status.get("phase") in TERMINAL_PHASES
                if ended:
                    await self._emit_remaining_events()
                if status != last:
                    self._send("status", status)
                last = status
                if ended:
                    return

    async def watch_events(self) -> None:
        """Emit ``event`` for each Kubernetes event about the run, including past events."""
        async with aclosing(self._versions(EVENTS, self._selector)) as versions:
            async for event in versions:
                if event is not None:
                    self._emit_event(event)

    async def _emit_remaining_events(self) -> None:
        with contextlib.suppress(ApiError, ApiUnavailable):  # the terminal status matters more than complete events
            for event in await self._client.list(EVENTS, self._namespace, fieldSelector=self._selector):
                self._emit_event(event)

    def _emit_event(self, event: Object) -> None:
        version = event["metadata"]["resourceVersion"]
        if version not in self._emitted:
            self._emitted.add(version)
            self._send("event", {key: event.get(key) for key in _EVENT_FIELDS})

    def _send(self, event_type: str, data: Object) -> None:
        self._emit(ServerSentEvent(one_line(data).decode(), event=event_type, sep=_LINE_END))

    async def _versions(self, kind: ResourceType, selector: str) -> AsyncGenerator[Object | None, None]:
        """Yield each version of the selected objects; yield None for a deletion or an empty selection."""
        async with aclosing(watch(self._client, kind, self._namespace, fieldSelector=selector)) as changes:
            async for change in changes:
                if isinstance(change, Snapshot):
                    for item in change.items:
                        yield item
                    if not change.items:
                        yield None
                else:
                    yield None if change.deleted else change.object
