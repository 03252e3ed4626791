"""The model's answer as far as its chunks have arrived, and the chunks that a caller is sent of it. Pure."""

from __future__ import annotations

from sympozium_agent.completion.finish_reason import finish_reason
from sympozium_agent.completion.joining import joined, joined_objects
from sympozium_agent.completion.message import MessageDeltas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]

_KNOWN_FIELDS = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})
"""Fields of a chunk that the caller's answer takes from elsewhere."""
_OWN_RULES = frozenset({"index", "delta", "message", "text", "finish_reason", "usage"})


def extra_fields(chunk: Object) -> Object:
    """Return a chunk's fields beside choices and usage: ``system_fingerprint``, ``service_tier``, a server's own."""
    return {key: value for key, value in chunk.items() if key not in _KNOWN_FIELDS and value is not None}


class CompletionAccumulator:
    """One answer: normalises chunks, or a whole completion as the only chunk, and joins what it forwards.

    ``run`` is what the ids of tool calls are made from where the server gives none. ``legacy_functions``: the caller expects
    ``function_call`` instead of tool calls.
    """

    def __init__(self, run: str = "", *, legacy_functions: bool = False) -> None:
        self._run = run
        self._legacy_functions = legacy_functions
        self._choices: dict[int, _Choice] = {}
        self.usage: Object = {}
        self.extra_fields: Object = {}

    def add(self, chunk: Object) -> list[Object]:
        """Add one chunk; return the chunks to forward now. An object with neither choices nor usage is no part of an answer."""
        if chunk.get("choices") is None and not isinstance(chunk.get("usage"), dict):
            return []
        extra = extra_fields(chunk)
        self.extra_fields |= extra
        fresh: list[Object] = []
        for position, choice in enumerate(chunk.get("choices") or []):
            self._count(choice.get("usage"))
            if piece := self._choice(choice, position).add(choice):
                fresh.append(piece)
        self._count(chunk.get("usage"))
        return [extra | {"choices": choices} for choices in _without_repeated_indexes(fresh)]

    def close(self) -> list[Object]:
        """End the answer; return the last chunks to forward: what was held back, and each choice's finish reason."""
        return [self.extra_fields | {"choices": [self._choices[index].close()]} for index in sorted(self._choices)]

    @property
    def is_empty(self) -> bool:
        """True while no choice has arrived."""
        return not self._choices

    def choices(self) -> list[Object]:
        """Return the choices of a chat completion, by index, after ``close``."""
        return [self._choices[index].whole() for index in sorted(self._choices)]

    def _choice(self, choice: Object, position: int) -> _Choice:
        given = choice.get("index")
        index = given if type(given) is int else position
        if index not in self._choices:
            self._choices[index] = _Choice(index, self._run, legacy_functions=self._legacy_functions)
        return self._choices[index]

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self.usage = _latest(self.usage, usage)


class _Choice:
    """One choice of an answer."""

    def __init__(self, index: int, run: str, *, legacy_functions: bool) -> None:
        self._index = index
        self._run = run
        self._message = MessageDeltas(self._make_id, legacy_functions=legacy_functions)
        self._reason = ""
        self._last: Object = {}
        self._has_deltas = False
        self._pieces: list[Object] = []

    def add(self, choice: Object) -> Object | None:
        """Add a piece; return what the caller is to be sent now."""
        fields = {key: value for key, value in choice.items() if key not in _OWN_RULES}
        delta = self._message.add(self._delta(choice))
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self._reason = reason
            logprobs = {key: fields.pop(key) for key in ("logprobs",) if key in fields}
            self._last |= {key: value for key, value in fields.items() if value is not None}
            fields = logprobs
        piece = {"index": self._index, "delta": delta} | fields
        self._pieces.append(piece)
        return piece if delta or any(value is not None for value in fields.values()) else None

    def close(self) -> Object:
        """Return the last piece: fields that were held back, and the finish reason."""
        delta, message = self._message.close(), self._message
        reason = finish_reason(
            self._reason, has_tool_calls=bool(message.tool_calls), has_function_call=message.has_function_call
        )
        piece = {"index": self._index, "delta": delta, "finish_reason": reason} | self._last
        self._pieces.append(piece)
        return piece

    def whole(self) -> Object:
        """Join the deltas to the message, concatenate logprobs, and keep the last value of all other fields."""
        pieces = self._pieces
        last = {key: value for piece in pieces for key, value in piece.items() if value is not None}
        choice: Object = {"index": self._index, "message": _message([piece["delta"] for piece in pieces])}
        if any("logprobs" in piece for piece in pieces):
            choice["logprobs"] = joined(piece.get("logprobs") for piece in pieces)
        others = {key: value for key, value in last.items() if key not in choice and key not in ("delta", "logprobs")}
        return choice | others

    def _delta(self, choice: Object) -> Object:
        """Return the piece's delta. A legacy completion's piece is a ``text``; a whole ``message`` after deltas repeats them."""
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict) and delta:
            self._has_deltas = True
            return delta
        if isinstance(message, dict) and not self._has_deltas:
            return message
        return {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}

    def _make_id(self, call: int) -> str:
        """Return an id for a call without one, the same each time, and no other call's in the caller's conversation."""
        from hashlib import sha256  # noqa: PLC0415 - only for servers that give calls no id

        return f"call_{sha256(f'{self._run}/{self._index}/{call}'.encode()).hexdigest()[:24]}"


def _message(deltas: list[Object]) -> Object:
    message: Object = {"role": "assistant", "content": None} | joined_objects(deltas)
    if calls := message.get("tool_calls"):
        message["tool_calls"] = [{key: value for key, value in call.items() if key != "index"} for call in calls]
    return message


def _without_repeated_indexes(pieces: list[Object]) -> list[list[Object]]:
    """Return the pieces of one chunk as chunks in which each choice is once, as SDKs expect."""
    chunks: list[list[Object]] = []
    for piece in pieces:
        if not chunks or any(other["index"] == piece["index"] for other in chunks[-1]):
            chunks.append([])
        chunks[-1].append(piece)
    return chunks


def _latest(before: Object, usage: Object) -> Object:
    """Return the count after a further one: the latest values, except that zero, null and {} replace nothing."""
    merged = dict(before)
    for key, value in usage.items():
        known = merged.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            merged[key] = _latest(known, value)
        elif value or not known:
            merged[key] = value
    return merged
