"""Pieces of an answer, made from a run's records and counted in characters (decision 0023). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sympozium_api.agent_records import Delta, Done, ToolRecord

_TOOL_FIELDS = ("id", "function", "state", "isError")

Part = Literal["reasoning", "content", "refusal"]

_FIELDS: dict[Part, tuple[str, ...]] = {
    "reasoning": ("reasoning_content", "reasoning", "thinking", "reasoning_text"),
    "content": ("content",),
    "refusal": ("refusal",),
}
"""Parts of an answer in their order, and the fields in which model servers send each."""


@dataclass(frozen=True)
class Piece:
    """A text that continues one part of an answer."""

    part: Part
    text: str
    after: int
    """Characters of the answer up to the end of this piece."""


class AnswerPieces:
    """The pieces of a run's answer, without its first ``after`` characters, which the caller has.

    The parts have one order, whatever the model's. A piece of a part after which a later part has begun is left out, and the
    stored answer has it.
    """

    def __init__(self, after: int = 0) -> None:
        self.after = after
        """Characters of the answer that the caller has."""
        self._lengths: dict[Part, int] = dict.fromkeys(_FIELDS, 0)
        """Characters of each part that the records have brought."""
        self._part: Part = "reasoning"
        """The part that grows."""

    def of_delta(self, record: Delta) -> Iterator[Piece]:
        """Yield the pieces of one chunk of the model's stream."""
        for choice in record["choices"]:
            if not choice.get("index"):
                yield from self._unsent(_texts(choice.get("delta")))

    def rest(self, record: Done) -> Iterator[Piece]:
        """Yield what the caller lacks of the whole answer."""
        message = record["choices"][0].get("message") if record["choices"] else None
        yield from self._unsent({part: text[self._lengths[part] :] for part, text in _texts(message).items()})

    def _unsent(self, texts: dict[Part, str]) -> Iterator[Piece]:
        order = list(_FIELDS)
        for part, text in texts.items():
            if not text or order.index(part) < order.index(self._part):
                continue
            self._part = part
            self._lengths[part] += len(text)
            came = sum(self._lengths.values())
            if came > self.after:
                yield Piece(part, text[-(came - self.after) :], came)
                self.after = came


def tool_event(record: ToolRecord) -> dict[str, Any]:
    """Return the content of the event that callers get at the begin or the end of a tool's call."""
    data: dict[str, Any] = dict(record)
    return {name: data[name] for name in _TOOL_FIELDS if name in data}


def _texts(message: Any) -> dict[Part, str]:
    """Return the texts of a message or a delta by part, in the parts' order."""
    given = message if isinstance(message, dict) else {}
    return {
        part: next((text for name in fields if isinstance(text := given.get(name), str) and text), "")
        for part, fields in _FIELDS.items()
    }
