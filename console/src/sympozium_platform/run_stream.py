"""The events of a run's stream: ``start`` at once, then ``result`` or ``error``, and on request the answer as it is written."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from sse_starlette import ServerSentEvent

from sympozium_api.agent_records import End, Record
from sympozium_api.terminal_status import outline
from sympozium_api.trace_context import TraceContext
from sympozium_domain.answer_pieces import AnswerPieces, Piece, tool_event
from sympozium_http.event_streams import sent_event
from sympozium_platform.run_models import tokens_of, trace_uuid
from sympozium_runs.runs import RunHandle


async def events(handle: RunHandle, *, deltas: bool, stop: asyncio.Event) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield the events of a run until its end, or until ``stop`` because the process is about to end. Close the handle."""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        yield _start(handle)
        pieces = AnswerPieces()
        while (record := await _next(handle, stopping, whole=deltas)) is not None:
            if deltas:
                for event in _progress(record, pieces):
                    yield event
            if record["type"] == "done" or record["type"] == "error":
                yield _end(record)
                return
    finally:
        stopping.cancel()
        handle.close()


async def _next(handle: RunHandle, stopping: asyncio.Future[Any], *, whole: bool) -> Record | None:
    """Return the run's next record, or its end unless the ``whole`` is wanted; None: the process is about to end."""
    reading = asyncio.ensure_future(handle.next() if whole else handle.end())
    try:
        await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        reading.cancel()


def _start(handle: RunHandle) -> ServerSentEvent:
    metadata = handle.run.metadata
    trace = TraceContext.of_annotations(metadata.annotations)
    return sent_event("start", {"run_id": metadata.uid, "trace_id": trace_uuid(trace.trace_id if trace else None)})


def _progress(record: Record, pieces: AnswerPieces) -> Iterator[ServerSentEvent]:
    match record["type"]:
        case "delta":
            yield from map(_delta, pieces.of_delta(record))
        case "done":
            yield from map(_delta, pieces.rest(record))
        case "tool":
            yield sent_event("tool", tool_event(record))


def _delta(piece: Piece) -> ServerSentEvent:
    return sent_event("delta", {piece.part: piece.text})


def _end(record: End) -> ServerSentEvent:
    """Return the last event. What counts is the status that the record becomes: an answer without a choice is an error."""
    status = outline(record)
    if status["phase"] != "Succeeded" or record["type"] == "error":
        return sent_event("error", {"error": status["error"]["message"]})
    usage = status.get("tokenUsage", {})
    content = (record["choices"][0].get("message") or {}).get("content")
    tokens = tokens_of(usage.get("inputTokens"), usage.get("outputTokens"))
    return sent_event("result", {"output": content if isinstance(content, str) else "", "tokens": tokens})
