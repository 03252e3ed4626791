"""The response of a run in chat completions and legacy completions: one JSON body, or chunks as server-sent events."""

from collections.abc import Callable
from typing import Protocol

from fastapi import Request, Response

from sympozium_api.agent_records import Delta, Done, Record
from sympozium_http import request_state, sse
from sympozium_runs.runs import RunHandle
from sympozium_webproxy import context
from sympozium_webproxy.protocol.openai import errors
from sympozium_webproxy.protocol.openai.bodies import JsonObject
from sympozium_webproxy.protocol.openai.chat import DONE
from sympozium_webproxy.request import held
from sympozium_webproxy.routes.openai.run_response import StreamedResponse, WholeResponse, run_headers, tool_comment
from sympozium_webproxy.run_failure import refusal_of


class ChunkSource(Protocol):
    """A translation of records into the chunks of one stream."""

    def delta(self, record: Delta) -> JsonObject:
        """Return the chunk of one delta."""

    def end(self, record: Done) -> list[JsonObject]:
        """Return the chunks that are still to send once the run has ended."""


class ChunkFrames:
    """Frames of chunks."""

    def __init__(self, chunks: ChunkSource) -> None:
        self._chunks = chunks

    def opening(self) -> None:
        """Return None: the first chunk is the model's."""

    def of(self, record: Record | None) -> bytes:
        """Return the frames of a record, or of silence."""
        if record is None:
            return sse.KEEP_ALIVE
        match record["type"]:
            case "tool":
                return tool_comment(record)
            case "delta":
                return sse.data(self._chunks.delta(record))
            case "done":
                return b"".join(map(sse.data, self._chunks.end(record))) + DONE
            case "error":
                return sse.data(errors.render(refusal_of(record["error"])))
        return b""


def respond(
    request: Request,
    handle: RunHandle,
    headers: dict[str, str],
    *,
    whole: Callable[[Done], JsonObject],
    chunks: ChunkSource | None,
) -> Response:
    """Return the response that follows a run: streamed as ``chunks``, or ``whole`` at its end."""
    held.keep(request, 0)  # the run has the body
    parts, began = context.of(request), request_state.of(request).started
    headers |= run_headers(handle.run)
    if chunks is None:
        return WholeResponse(handle, whole, headers, began=began)
    return StreamedResponse(
        handle,
        ChunkFrames(chunks),
        headers,
        began=began,
        keep_alive_seconds=parts.settings.keep_alive_seconds,
    )
