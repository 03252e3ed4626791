"""The events of one run as its chat page needs them: waits in words, the answer's complete blocks as HTML, and its open end as text.

A ``block`` event has the place after it as its id, so a page that lost its stream continues there, at any replica: what it showed of
the open end comes again.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from sse_starlette import ServerSentEvent

from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_console.pages.chat.waiting_stage import waiting_of
from sympozium_console.pages.prose.formatted_text import MOST_CHARACTERS, GrowingText

LINE_END = "\n"
_SLICE = 2048
"""Characters of a piece that are looked at together: an answer that comes at once becomes blocks that a browser takes one by one."""
_SHOWN_EVENTS = ("WaitingForCapacity", "WriteRefused")


@dataclass(frozen=True)
class End:
    """The end of a run, as its page shows it."""

    phase: str
    foot: str
    """HTML below the answer: its figures, or its error."""
    answer: str | None
    """HTML of the whole answer; None: what the page has is right."""


class ReadEnd(Protocol):
    """Reads the end of a run."""

    async def __call__(self, *, whole: bool) -> End:
        """Return the end; ``whole``: with all of the answer, which the page is to show instead of what it has."""


async def page_events(
    events: AsyncGenerator[ServerSentEvent], *, after: int, end: ReadEnd
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield a page's events, made of those of ``run_events.follow``.

    ``after``: characters of the answer that the page has as blocks.
    """
    answer = _PageAnswer(after)
    async with aclosing(events):
        async for event in events:
            data: dict[str, Any] = json.loads(str(event.data)) if event.data else {}
            if event.event == "delta":
                async for frame in answer.of_delta(data):
                    yield frame
            elif event.event == "status" and data.get("phase") in TERMINAL_PHASES:
                async for frame in answer.rest(is_whole=data["phase"] == "Succeeded"):
                    yield frame
                last = await end(whole=answer.has_definitions)
                yield _frame("end", {"phase": last.phase, "foot": last.foot, "answer": last.answer})
            elif other := _frame_of(event.event, data):
                yield other


def _frame_of(kind: str | None, data: dict[str, Any]) -> ServerSentEvent | None:
    """Return the frame of an event that is about no text; None: a page shows nothing of it."""
    if kind == "status":
        waiting = waiting_of(data)
        return _frame("waiting", {"stage": waiting.stage, "text": waiting.text})
    if kind == "tool":
        return _frame("tool", {"function": data.get("function"), "state": data.get("state")})
    if kind == "event" and data.get("reason") in _SHOWN_EVENTS:
        return _frame("note", {"text": data.get("message")})
    return _frame("deleted", {}) if kind == "deleted" else None


class _PageAnswer:
    """The answer as far as the page has it."""

    def __init__(self, after: int) -> None:
        self._text = GrowingText(max(0, MOST_CHARACTERS - after))
        self._came = after
        self._unbroken = 0
        """Characters of text after the last piece of another part: the place before more of them is not known."""

    @property
    def has_definitions(self) -> bool:
        """True if blocks lack links that were defined after them."""
        return self._text.has_definitions

    async def of_delta(self, data: dict[str, Any]) -> AsyncGenerator[ServerSentEvent, None]:
        """Yield the frames of a piece of the answer."""
        for part in ("reasoning", "refusal"):
            if part in data:
                self._came = data["after"]
                self._unbroken = 0
                yield _frame(part, {"text": data[part]}, self._place())
        text = data.get("content", "")
        for at in range(0, len(text), _SLICE):
            piece = text[at : at + _SLICE]
            self._came = data["after"] - len(text) + at + len(piece)
            self._unbroken += len(piece)
            yield _frame("text", {"text": piece})
            if html := await self._text.add(piece):
                yield self._block(html)

    async def rest(self, *, is_whole: bool) -> AsyncGenerator[ServerSentEvent, None]:
        """Yield the last blocks. The open end of an answer that broke off is shown as it came."""
        if html := await self._text.end() if is_whole else "":
            yield self._block(html)

    def _block(self, html: str) -> ServerSentEvent:
        return _frame("block", {"html": html, "open": self._text.open}, self._place())

    def _place(self) -> int | None:
        """Return the place before the open end; None where another part lies in it, so that the place before it stays."""
        size = len(self._text.open)
        return self._came - size if size <= self._unbroken else None


def _frame(name: str, data: dict[str, Any], place: int | None = None) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(data), event=name, id=None if place is None else str(place), sep=LINE_END)
