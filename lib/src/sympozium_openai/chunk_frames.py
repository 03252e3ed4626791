"""Frames of a stream of chunks: chat completions and legacy completions."""

from typing import Protocol

from sympozium_api.agent_records import Delta, Done, Record
from sympozium_http import sse
from sympozium_openai import errors
from sympozium_openai.bodies import JsonObject
from sympozium_openai.chat import DONE
from sympozium_openai.run_response import tool_comment
from sympozium_runs.run_failure import refusal_of


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
