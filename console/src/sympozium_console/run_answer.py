"""The answer of a run that a caller follows: ``delta`` and ``tool`` events, made from the records that come to this replica."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

from pydantic import ValidationError

from sympozium_api.agent_records import Record
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.resources import Object
from sympozium_domain.answer_pieces import AnswerPieces, Piece, tool_event
from sympozium_domain.instance_runs import InstanceRuns
from sympozium_runs.runs import RunHandle


class EventStream(Protocol):
    """The stream of one caller."""

    def send(self, event_type: str, data: Object, event_id: str | None = None, /) -> None:
        """Send an event; ``event_id`` is the caller's place in the stream."""

    async def room(self) -> None:
        """Wait until the caller has taken most of what was sent."""


class RunAnswer:
    """Events of a run's answer.

    A caller that names the characters that it has gets all others, at the run's end at the latest. Any other caller gets
    what comes to this replica, and the rest once the run has ended if there was a beginning.
    """

    def __init__(self, runs: InstanceRuns, key: tuple[str, str], after: int | None, stream: EventStream) -> None:
        self._runs = runs
        self._key = key
        self._stream = stream
        self._pieces = AnswerPieces(after or 0)
        self._is_wanted = after is not None
        self._reading: asyncio.Task[None] | None = None
        self._is_held_up = False
        """True while records wait for the caller to take what was sent."""

    @classmethod
    @asynccontextmanager
    async def followed(
        cls, runs: InstanceRuns, namespace: str, name: str, after: int | None, stream: EventStream
    ) -> "AsyncIterator[RunAnswer]":
        """Send the events of a run's answer while the body of this context runs. A run that cannot be read has none."""
        answer, handle = cls(runs, (namespace, name), after, stream), None
        with contextlib.suppress(ApiError, ApiUnavailable, ValidationError):
            handle = await runs.follow(namespace, name)
        if handle is None:
            yield answer
            return
        answer._reading = asyncio.create_task(answer._read(handle))
        try:
            yield answer
        finally:
            answer._reading.cancel()
            await asyncio.gather(answer._reading, return_exceptions=True)
            handle.close()

    @property
    def is_streaming(self) -> bool:
        """True while the answer comes to this replica, or waits for its caller."""
        return self._reading is not None and (self._is_held_up or self._runs.is_streaming(*self._key))

    async def complete(self) -> None:
        """Wait until all events have been sent."""
        if self._reading is not None:
            await asyncio.wait({self._reading})

    async def finish(self, run: Object) -> None:
        """Send what the caller lacks of the answer of a run that has ended."""
        if self._reading is not None:
            with contextlib.suppress(ApiError, ApiUnavailable):  # the terminal status matters more
                await self._runs.on_ended(run)
                await self.complete()

    async def _read(self, handle: RunHandle) -> None:
        while (record := await self._next(handle)) is not None:
            self._send_record(record)
            if record["type"] == "done" or record["type"] == "error":
                return

    async def _next(self, handle: RunHandle) -> Record | None:
        self._is_held_up = True
        await self._stream.room()
        self._is_held_up = False
        return await handle.next()

    def _send_record(self, record: Record) -> None:
        match record["type"]:
            case "delta":
                self._send_pieces(self._pieces.of_delta(record))
            case "done" if self._is_wanted:
                self._send_pieces(self._pieces.rest(record))
            case "tool":
                self._stream.send("tool", tool_event(record))

    def _send_pieces(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._is_wanted = True
            self._stream.send("delta", {piece.part: piece.text, "after": piece.after}, str(piece.after))
