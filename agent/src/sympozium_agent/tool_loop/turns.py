"""The answer of several turns of a model as one: what a caller is sent of each turn's chunks, and the whole. Pure."""

from __future__ import annotations

from sympozium_agent.completion import CompletionAccumulator
from sympozium_agent.completion.content import REASONING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Object = dict[str, Any]

_BLANK_LINE = "\n\n"
_JOINED = ("content", *REASONING)
"""Fields whose texts are joined by a blank line from turn to turn."""


class Turns:
    """Turns of one answer. ``is_callers`` decides whether a call of a tool goes back to the caller, by its type and name.

    The caller gets all texts at once, and of the calls only its own. A turn's finish reason is held back until it is known to be
    the last turn.
    """

    def __init__(self, run: str, is_callers: Callable[[str, str], bool]) -> None:
        self._is_callers = is_callers
        self._answer = CompletionAccumulator(run)
        self._calls = _CallFilter(is_callers, 0)
        self._closing: list[Object] = []
        self._before: set[str] = set()
        """Fields that have text from earlier turns."""
        self._now: set[str] = set()
        """Fields that have text from this turn."""

    def edit(self, chunk: Object) -> list[Object]:
        """Add a chunk of this turn's answer; return the chunks to forward."""
        if any("finish_reason" in choice for choice in chunk["choices"]):
            self._closing.append(chunk)
            return []
        return self._forward(chunk)

    def next_turn(self) -> list[Object]:
        """End this turn, which is not the last one; return the chunks to forward."""
        chunks = [
            chunk | {"choices": [{"index": choice["index"], "delta": choice["delta"]} for choice in chunk["choices"]]}
            for chunk in self._closing
        ]
        forwarded = [piece for chunk in chunks for piece in self._forward(chunk)]
        self._calls = _CallFilter(self._is_callers, self._calls.count)
        self._closing, self._before, self._now = [], self._before | self._now, set()
        return forwarded

    def finish(self) -> list[Object]:
        """End the answer with this turn; return the chunks to forward."""
        forwarded = [piece for chunk in self._closing for piece in self._forward(chunk)]
        if calls := self._calls.close():
            forwarded += self._answer.add({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]})
        return forwarded + self._answer.close()

    def choices(self) -> list[Object]:
        """Return the choices of the whole answer, after ``finish``."""
        return self._answer.choices()

    @property
    def extra_fields(self) -> Object:
        """The answer's other fields, merged from all turns."""
        return self._answer.extra_fields

    def _forward(self, chunk: Object) -> list[Object]:
        choices = [choice | {"delta": self._delta(choice["delta"])} for choice in chunk["choices"]]
        return self._answer.add(chunk | {"choices": choices})

    def _delta(self, delta: Object) -> Object:
        edited = dict(delta)
        for name in _JOINED:
            if isinstance(text := delta.get(name), str) and text:
                edited[name] = _BLANK_LINE + text if name in self._before - self._now else text
                self._now.add(name)
        if calls := self._calls.add(edited.pop("tool_calls", [])):
            edited["tool_calls"] = calls
        return edited


class _CallFilter:
    """Filter of one turn's calls, which gives those of the caller indexes without gaps, from ``count`` on."""

    def __init__(self, is_callers: Callable[[str, str], bool], count: int) -> None:
        self.count = count
        self._is_callers = is_callers
        self._names: dict[int, str] = {}
        self._held: dict[int, list[Object]] = {}
        self._indexes: dict[int, int | None] = {}
        """Index of each call that is decided, as the caller gets it; None for calls that the caller does not get."""

    def add(self, pieces: list[Object]) -> list[Object]:
        """Return the caller's part of these pieces. A call is held back until its name is whole: until its first argument."""
        forwarded: list[Object] = []
        for piece in pieces:
            index, kind = piece["index"], "custom" if "custom" in piece else "function"
            self._held.setdefault(index, []).append(piece)
            payload = piece.get(kind) or {}
            if index not in self._indexes:
                self._names[index] = self._names.get(index, "") + (payload.get("name") or "")
                if payload.get("arguments") or payload.get("input"):
                    self._decide(index, kind)
            if index in self._indexes:
                forwarded += self._released(index)
        return forwarded

    def close(self) -> list[Object]:
        """Return the caller's part of the calls that have no arguments."""
        forwarded: list[Object] = []
        for index in sorted(self._held):
            self._decide(index, "custom" if any("custom" in piece for piece in self._held[index]) else "function")
            forwarded += self._released(index)
        return forwarded

    def _decide(self, index: int, kind: str) -> None:
        is_callers = self._is_callers(kind, self._names[index])
        self._indexes[index] = self.count if is_callers else None
        self.count += is_callers

    def _released(self, index: int) -> list[Object]:
        pieces, own = self._held.pop(index, []), self._indexes[index]
        return [] if own is None else [piece | {"index": own} for piece in pieces]
