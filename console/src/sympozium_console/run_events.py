"""The events of one run as server-sent events: its status at each change, the Kubernetes events about it, and its answer as it comes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from sse_starlette import EventSourceResponse, ServerSentEvent

from sympozium_api.client import Client
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import TERMINAL_PHASES
from sympozium_console.object_watching import EventsAbout, versions
from sympozium_console.run_answer import RunAnswer
from sympozium_domain.instance_runs import InstanceRuns
from sympozium_http.sse import one_line

_LINE_END = "\n"
_HEADERS = {"Cache-Control": "no-cache"}
_MOST_UNSENT = 16
"""Events of a stream beside which no piece of an answer is sent: records that wait are merged, bounded and counted."""
_LAST_STATUS_SECONDS = 5.0
"""Seconds for which a console that drains waits for the terminal status of a run whose answer is complete."""


@dataclass(frozen=True)
class FollowedRun:
    """A run whose events a caller follows."""

    namespace: str
    name: str
    after: int | None = None
    """Characters of the answer that the caller has; None: it asks for none, and gets those that come to this replica."""


def stream(
    client: Client,
    runs: InstanceRuns,
    run: FollowedRun,
    *,
    keep_alive_seconds: float,
    stop: asyncio.Event,
    with_events: bool = True,
) -> EventSourceResponse:
    """Return the response that streams a run's events, with a comment every ``keep_alive_seconds``.

    ``with_events`` is False for a caller that may not see Kubernetes' Events.

    The stream ends when the run has ended or is deleted, when the caller disconnects, or when ``stop`` is set, which the
    serving layer does as it begins to drain. An answer that comes to this replica is streamed to its end even then.
    """
    return EventSourceResponse(
        follow(client, runs, run, stop=stop, with_events=with_events),
        headers=_HEADERS,
        sep=_LINE_END,
        ping=keep_alive_seconds,
        ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep=_LINE_END),
    )


async def follow(
    client: Client, runs: InstanceRuns, run: FollowedRun, *, stop: asyncio.Event, with_events: bool = True
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield events until the run has ended or is deleted, or ``stop`` is set; end the watches when closed."""
    unsent = _UnsentEvents()
    async with RunAnswer.followed(runs, run.namespace, run.name, run.after, unsent) as answer:
        watcher = _RunWatcher(client, run.namespace, run.name, unsent.send, answer.finish, with_events=with_events)
        statuses = asyncio.create_task(watcher.watch_status())
        stopped = asyncio.create_task(_stopped(stop, answer, statuses))
        beside = [stopped, asyncio.create_task(watcher.watch_events())]
        for last in (statuses, stopped):
            last.add_done_callback(lambda _: unsent.end())
        try:
            while (event := await unsent.take()) is not None:
                yield event
            if statuses.done():
                statuses.result()
        finally:
            for task in (statuses, *beside):
                task.cancel()
            await asyncio.gather(statuses, *beside, return_exceptions=True)


async def _stopped(stop: asyncio.Event, answer: RunAnswer, statuses: asyncio.Task[None]) -> None:
    """Return once ``stop`` is set, and then, where an answer comes to this replica, once it has come."""
    await stop.wait()
    if answer.is_streaming:
        await answer.complete()
        await asyncio.wait({statuses}, timeout=_LAST_STATUS_SECONDS)


class _UnsentEvents:
    """Events of one stream that its reader has not taken. Pieces of an answer are sent when there is room for them."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()
        self._taken = asyncio.Event()

    def send(self, event_type: str, data: Object, event_id: str | None = None) -> None:
        """Add an event."""
        self._queue.put_nowait(ServerSentEvent(one_line(data).decode(), event=event_type, id=event_id, sep=_LINE_END))

    def end(self) -> None:
        """Add the end of the stream."""
        self._queue.put_nowait(None)

    async def take(self) -> ServerSentEvent | None:
        """Wait for the next event; None: the stream has ended."""
        event = await self._queue.get()
        self._taken.set()
        return event

    async def room(self) -> None:
        """Wait until the reader has taken most events."""
        while self._queue.qsize() >= _MOST_UNSENT:
            self._taken.clear()
            await self._taken.wait()


class _RunWatcher:
    """Watches of one run and of the Kubernetes events about it, each change emitted as a server-sent event."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        send: Callable[[str, Object], None],
        on_ended: Callable[[Object], Awaitable[None]],
        *,
        with_events: bool,
    ) -> None:
        """``send`` takes the type and the data of an event; ``on_ended`` is awaited before the terminal status is sent."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self._send = send
        self._on_ended = on_ended
        self._events = EventsAbout(client, RUNS, namespace, name, send) if with_events else None

    async def watch_status(self) -> None:
        """Emit ``status`` for each new status, the terminal one last; emit ``deleted`` if the run is deleted."""
        last: Object | None = None
        selector = f"metadata.name={self._name}"
        async with aclosing(versions(self._client, RUNS, self._namespace, selector)) as runs:
            async for run in runs:
                if run is None:
                    self._send("deleted", {"namespace": self._namespace, "name": self._name})
                    return
                status = run.get("status", {})
                ended = status.get("phase") in TERMINAL_PHASES
                if ended and self._events:
                    await self._events.send_remaining()
                if ended:
                    await self._on_ended(run)
                if status != last:
                    self._send("status", status)
                last = status
                if ended:
                    return

    async def watch_events(self) -> None:
        """Emit ``event`` for each Kubernetes event about the run, including past events, if the caller may see them."""
        if self._events:
            await self._events.follow()
