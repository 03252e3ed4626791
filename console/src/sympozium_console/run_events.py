"""The events of one run as server-sent events: its status at each change, the Kubernetes events about it, and its answer as it comes."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from sse_starlette import ServerSentEvent

from sympozium_api.client import Client
from sympozium_api.resources import RUNS, Object
from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_console.object_watching import EventsAbout, Judge, right_ends, send_statuses
from sympozium_console.run_answer import RunAnswer
from sympozium_domain.instance_runs import InstanceRuns
from sympozium_http.event_streams import sent_event

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


async def follow(
    client: Client,
    runs: InstanceRuns,
    run: FollowedRun,
    *,
    stop: asyncio.Event,
    judge: Judge,
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield events until the run has ended or is deleted, the caller may not watch it any more, or ``stop`` is set.

    The serving layer sets ``stop`` as it begins to drain; an answer that comes to this replica is streamed to its end even then.
    ``judge`` is asked again each minute.
    """
    unsent = _UnsentEvents()
    with_events = bool(await judge())
    about = EventsAbout(client, RUNS, run.namespace, run.name, unsent.send)
    async with RunAnswer.followed(runs, run.namespace, run.name, run.after, unsent) as answer:

        async def finish(body: Object) -> bool:
            if body.get("status", {}).get("phase") not in TERMINAL_PHASES:
                return False
            if with_events:
                await about.send_remaining()
            await answer.finish(body)
            return True

        statuses = asyncio.create_task(
            send_statuses(client, RUNS, run.namespace, run.name, unsent.send, before_last=finish)
        )
        last = [
            statuses,
            asyncio.create_task(_stopped(stop, answer, statuses)),
            asyncio.create_task(right_ends(judge, with_events=with_events)),
        ]
        beside = [asyncio.create_task(about.follow())] if with_events else []
        for task in last:
            task.add_done_callback(lambda _: unsent.end())
        try:
            while (event := await unsent.take()) is not None:
                yield event
            if statuses.done():
                statuses.result()
        finally:
            for running in (*last, *beside):
                running.cancel()
            await asyncio.gather(*last, *beside, return_exceptions=True)


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
        self._queue.put_nowait(sent_event(event_type, data, event_id))

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
