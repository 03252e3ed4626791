"""From the chunks of a model's stream to its whole answer, and from a whole answer to one chunk. Pure.

The fields of a delta are open: models add their own (``reasoning_content``, ``audio``), so what a value is decides how
its pieces are joined, not what it is called. Rules: OpenAI's API reference, "chat completion chunk object".
"""

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]

_CONSTANT = frozenset({"id", "type", "role", "name"})
"""Strings that a delta holds whole; some servers repeat them in every chunk."""
_OWN_PLACE = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})
"""Fields of a chunk that the caller's answer has from elsewhere."""


class Answer:
    """All that a model has said so far."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[Object]] = {}
        self.usage: Object = {}
        self.about: Object = {}

    def add(self, chunk: Object) -> None:
        """Take in one chunk: an object with ``choices`` and perhaps ``usage``."""
        for choice in chunk.get("choices") or []:
            self._pieces.setdefault(choice.get("index") or 0, []).append(choice)
        if isinstance(usage := chunk.get("usage"), dict):
            self.usage = usage
        self.about |= about(chunk)

    @property
    def is_empty(self) -> bool:
        """Whether no choice has come so far."""
        return not self._pieces

    def choices(self) -> list[Object]:
        """The choices of a chat completion, by index."""
        return [_choice(index, self._pieces[index]) for index in sorted(self._pieces)]


def about(chunk: Object) -> Object:
    """What a chunk says beside its choices and its count: ``system_fingerprint``, ``service_tier``, a server's own fields."""
    return {key: value for key, value in chunk.items() if key not in _OWN_PLACE and value is not None}


def as_chat(choice: Object) -> Object:
    """A choice of a legacy completion, whose text stands by itself, as one of a chat; any other as it is."""
    if "text" not in choice or "delta" in choice or "message" in choice:
        return choice
    return {key: value for key, value in choice.items() if key != "text"} | {"delta": {"content": choice["text"]}}


def chunk_of(completion: Object) -> Object:
    """A whole chat completion as the only chunk of a stream, for servers that do not stream."""
    return completion | {"choices": [_as_delta(choice) for choice in completion.get("choices") or []]}


def joined(pieces: Iterable[Any]) -> Any:
    """Join the pieces of one value: texts and lists in sequence, objects key by key, and of anything else the last."""
    present = [piece for piece in pieces if piece is not None]
    match present:
        case []:
            return None
        case [str(), *_] if all(isinstance(piece, str) for piece in present):
            return "".join(present)
        case [dict(), *_] if all(isinstance(piece, dict) for piece in present):
            return _joined_objects(present)
        case [list(), *_] if all(isinstance(piece, list) for piece in present):
            return _joined_lists([item for piece in present for item in piece])
    return present[-1]


def _joined_objects(pieces: list[Object]) -> Object:
    keys = dict.fromkeys(key for piece in pieces for key in piece)
    return {key: _joined_field(key, [piece[key] for piece in pieces if key in piece]) for key in keys}


def _joined_field(key: str, values: list[Any]) -> Any:
    if key == "index":
        return values[0]
    if key in _CONSTANT:
        return next((value for value in values if value), values[0])
    return joined(values)


def _joined_lists(items: list[Any]) -> list[Any]:
    """Items with an ``index`` (calls of tools) are joined with those of the same index, others stand for themselves."""
    if not all(isinstance(item, dict) and isinstance(item.get("index"), int) for item in items):
        return items
    groups: dict[int, list[Object]] = {}
    for item in items:
        groups.setdefault(item["index"], []).append(item)
    return [_joined_objects(groups[index]) for index in sorted(groups)]


def _choice(index: int, pieces: list[Object]) -> Object:
    """One choice: the deltas become the message, logprobs are lists that go on, of all else the last word counts."""
    last = {key: value for piece in pieces for key, value in piece.items() if value is not None}
    whole: Object = {"index": index, "message": _message([piece.get("delta") or {} for piece in pieces])}
    if any("logprobs" in piece for piece in pieces):
        whole["logprobs"] = joined(piece.get("logprobs") for piece in pieces)
    others = {key: value for key, value in last.items() if key not in whole and key not in ("delta", "logprobs")}
    return whole | {"finish_reason": None} | others


def _message(deltas: list[Object]) -> Object:
    message = {"role": "assistant", "content": None} | _joined_objects(deltas)
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [_without_index(call) for call in calls]
    return message | {"role": message["role"] or "assistant"}


def _without_index(call: Any) -> Any:
    return {key: value for key, value in call.items() if key != "index"} if isinstance(call, dict) else call


def _as_delta(choice: Object) -> Object:
    delta: Object = dict(choice.get("message") or choice.get("delta") or {})
    if isinstance(calls := delta.get("tool_calls"), list):
        delta["tool_calls"] = [{"index": number} | call for number, call in enumerate(calls)]
    return {key: value for key, value in choice.items() if key != "message"} | {"delta": delta}
