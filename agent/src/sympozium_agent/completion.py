"""Completions: from the chunks of a model's stream to its whole answer, and from a whole answer to one chunk. Pure.

The fields of a delta are open, because models add their own (``reasoning_content``, ``audio``). So the type of a value
decides how its pieces are joined, not its name. Rules: OpenAI's API reference, "chat completion chunk object".
"""

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]

_CONSTANT = frozenset({"id", "type", "role", "name"})
"""Strings that a delta holds whole; some servers repeat them in every chunk."""
_KNOWN_FIELDS = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})
"""Fields of a chunk that the caller's answer takes from elsewhere."""


class CompletionAccumulator:
    """The model's answer as far as its chunks have arrived."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[Object]] = {}
        self.usage: Object = {}
        self.extra_fields: Object = {}

    def add(self, chunk: Object) -> None:
        """Add one chunk: an object with ``choices`` and perhaps ``usage``."""
        for choice in chunk.get("choices") or []:
            self._pieces.setdefault(choice.get("index") or 0, []).append(choice)
        if isinstance(usage := chunk.get("usage"), dict):
            self.usage = usage
        self.extra_fields |= extra_fields(chunk)

    @property
    def is_empty(self) -> bool:
        """True while no choice has arrived."""
        return not self._pieces

    def choices(self) -> list[Object]:
        """Return the choices of a chat completion, by index."""
        return [_choice(index, self._pieces[index]) for index in sorted(self._pieces)]


def extra_fields(chunk: Object) -> Object:
    """Return a chunk's fields beside choices and usage: ``system_fingerprint``, ``service_tier``, a server's own."""
    return {key: value for key, value in chunk.items() if key not in _KNOWN_FIELDS and value is not None}


def as_chat(choice: Object) -> Object:
    """Return a legacy completion's choice, which has a ``text``, as a chat's; return any other choice as it is."""
    if "text" not in choice or "delta" in choice or "message" in choice:
        return choice
    return {key: value for key, value in choice.items() if key != "text"} | {"delta": {"content": choice["text"]}}


def chunk_of(completion: Object) -> Object:
    """Return a whole chat completion as the only chunk of a stream, for servers that do not stream."""
    return completion | {"choices": [_as_delta(choice) for choice in completion.get("choices") or []]}


def joined(pieces: Iterable[Any]) -> Any:
    """Join the pieces of one value: texts and lists in sequence, objects key by key; of any other type, keep the last."""
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
    """Join items of the same ``index`` (tool calls) and keep items without an index as they are."""
    if not all(isinstance(item, dict) and isinstance(item.get("index"), int) for item in items):
        return items
    groups: dict[int, list[Object]] = {}
    for item in items:
        groups.setdefault(item["index"], []).append(item)
    return [_joined_objects(groups[index]) for index in sorted(groups)]


def _choice(index: int, pieces: list[Object]) -> Object:
    """Build one choice: join the deltas to the message, concatenate logprobs, and keep the last value of all other fields."""
    last = {key: value for piece in pieces for key, value in piece.items() if value is not None}
    choice: Object = {"index": index, "message": _message([piece.get("delta") or {} for piece in pieces])}
    if any("logprobs" in piece for piece in pieces):
        choice["logprobs"] = joined(piece.get("logprobs") for piece in pieces)
    others = {key: value for key, value in last.items() if key not in choice and key not in ("delta", "logprobs")}
    return choice | {"finish_reason": None} | others


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
