"""Frames of a stream of a response's typed events."""

from collections.abc import Callable
from typing import Any

from sympozium_api.agent_records import Record
from sympozium_http import sse
from sympozium_openai.chat import DONE
from sympozium_openai.responses_events import ResponseEvents
from sympozium_openai.run_response import tool_comment


class ResponseFrames:
    """Frames of typed events."""

    def __init__(self, events: ResponseEvents, *, at_once: bool, works: bool, ended_at: Callable[[], int]) -> None:
        self._events = events
        self._begun = at_once
        self._works = works
        self._ended_at = ended_at

    def opening(self) -> bytes | None:
        """Return the first events of a background response, whose id the caller needs at once; None for others."""
        if not self._begun:
            return None
        return _frames(self._events.started() if self._works else self._events.begin())

    def of(self, record: Record | None) -> bytes:
        """Return the frames of a record, or of silence."""
        if record is None:
            self._begun = True
            return _frames(self._events.begin()) + sse.KEEP_ALIVE
        match record["type"]:
            case "started" if self._begun:
                return _frames(self._events.started())
            case "tool":
                return tool_comment(record)
            case "delta":
                return _frames(self._events.delta(record))
            case "done" | "error":
                return _frames(self._events.end(record, self._ended_at())) + DONE
        return b""


def frame(event: dict[str, Any]) -> bytes:
    """Return an event as a frame."""
    return sse.data(event, event=event["type"])


def _frames(events: list[dict[str, Any]]) -> bytes:
    return b"".join(map(frame, events))
