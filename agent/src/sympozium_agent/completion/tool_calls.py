"""Tool calls of one message: which call a piece belongs to, and what of it is new to the caller. Pure.

Callers get a call's index, id, type and name in its first piece, and only arguments after it, as OpenAI sends them. A call
is held back until these are known: until its name came, and its id came or cannot be expected any more.
"""

from __future__ import annotations

import json

from sympozium_api.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    Object = dict[str, Any]

_INPUT = {"function": "arguments", "custom": "input"}
"""Types of tools, with the field of their input."""
_KNOWN_FIELDS = frozenset({"index", "id", "type", "name", "arguments", "input", *_INPUT})


@dataclass(frozen=True)
class _Piece:
    """Piece of a call, its fields in whatever place and form the server sent them."""

    index: int | None
    id: str
    kind: str
    name: str
    arguments: str
    others: Object

    @classmethod
    def of(cls, piece: Object) -> Self:
        kind = "custom" if isinstance(piece.get("custom"), dict) else "function"
        payload = piece[kind] if isinstance(piece.get(kind), dict) else piece
        index = piece.get("index")
        return cls(
            index if type(index) is int else None,
            _text(piece.get("id")),
            kind,
            _text(payload.get("name")),
            _arguments(payload.get(_INPUT[kind])),
            {key: value for key, value in piece.items() if key not in _KNOWN_FIELDS and value is not None},
        )


@dataclass(eq=False)
class _Call:
    """One call as far as it has arrived."""

    kind: str
    given_id: str = ""
    name: str = ""
    arguments: str = ""
    others: Object = field(default_factory=dict)
    indexed: bool = False
    announced: bool = False
    unsent: Object = field(default_factory=dict)
    """Fields that the caller does not have yet, except for the id: ``name``, ``arguments``, ``others``."""

    @property
    def is_complete(self) -> bool:
        """True if the arguments are a whole JSON object, so that anything but white space belongs to another call."""
        if self.kind != "function" or not self.arguments.rstrip().endswith("}"):
            return False
        try:
            json.loads(self.arguments)
        except (ValueError, RecursionError):
            return False
        return True

    def add(self, piece: _Piece) -> None:
        repeats = self._repeats(piece)
        if piece.name and piece.name != self.name and not (self.name and self.arguments):
            self.name += piece.name
            self.unsent["name"] = self.unsent.get("name", "") + piece.name
        if repeats:
            return
        self.arguments += piece.arguments
        self.unsent["arguments"] = self.unsent.get("arguments", "") + piece.arguments
        if fresh := _fresh(self.others, piece.others):
            self.unsent["others"] = _merged(self.unsent.get("others", {}), fresh)

    def is_continued_by(self, piece: _Piece) -> bool:
        """Return False if a piece that may belong to this call begins another one."""
        if piece.kind != self.kind or self._repeats(piece):
            return piece.kind == self.kind
        if piece.id and self.given_id and piece.id != self.given_id:
            if self.arguments:  # each piece has an id of its own, also an empty one after the last
                is_empty = piece.index is not None and not piece.name and not piece.arguments.strip()
                return self.kind == "function" and (is_empty or not self.is_complete)
            return not piece.name
        if piece.name and self.is_complete:
            return self.name in ("", piece.name) and not piece.arguments.strip()
        is_other_name = piece.name and self.name and piece.name != self.name
        return not (is_other_name and piece.index is None and not self.arguments)

    def _repeats(self, piece: _Piece) -> bool:
        """Return True if a server sends a whole call once more, as some do at its end."""
        return (
            piece.id in ("", self.given_id)
            and bool(piece.id or (piece.index is not None and not (piece.name and self.name)))
            and bool(piece.arguments)
            and piece.arguments == self.arguments
            and self.is_complete
        )


class ToolCalls:
    """Calls of one message in the order of their beginnings, which are their indexes. ``make_id`` returns an id for the n-th call."""

    def __init__(self, make_id: Callable[[int], str]) -> None:
        self._make_id = make_id
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, pieces: Any) -> list[Object]:
        """Add the ``tool_calls`` of one delta; return what the caller is to be sent: at most one piece for each call."""
        begun: list[_Call] = []
        for piece in [pieces] if isinstance(pieces, dict) else pieces if isinstance(pieces, list) else []:
            if isinstance(piece, dict):
                self._add(_Piece.of(piece), begun)
        return self._unsent(is_whole=False)

    def close(self) -> list[Object]:
        """Return what the caller is still to be sent at the end of the answer."""
        return self._unsent(is_whole=True)

    def _add(self, piece: _Piece, begun: list[_Call]) -> None:
        call = self._candidate(piece)
        if (
            call is None
            or not call.is_continued_by(piece)
            or (call in begun and piece.index is None and piece.name and call.name)
        ):
            call = _Call(piece.kind)
            self._calls.append(call)
        begun.append(call)
        if piece.index is not None:
            self._by_index[piece.index] = call
            call.indexed = True
        if not call.announced:
            call.given_id = call.given_id or piece.id
        call.add(piece)

    def _candidate(self, piece: _Piece) -> _Call | None:
        """Return the call that a piece belongs to by its index, its id or its place; None if it begins a call."""
        by_id = self._by_id(piece.id)
        if piece.index is None:
            return by_id or (self._calls[-1] if self._calls else None)
        if call := self._by_index.get(piece.index):
            return call
        if by_id is None:
            return None
        begins = by_id.is_complete or (piece.name and not by_id.arguments)
        return None if begins and by_id.indexed else by_id

    def _by_id(self, identity: str) -> _Call | None:
        return next((call for call in reversed(self._calls) if identity and call.given_id == identity), None)

    def _unsent(self, *, is_whole: bool) -> list[Object]:
        pieces = []
        for index, call in enumerate(self._calls):
            is_last = index == len(self._calls) - 1
            if call.announced:
                piece = self._continuation(call)
            elif is_whole or (call.name and (call.given_id or not is_last or call.is_complete)):
                piece = self._announcement(index, call)
            else:
                break  # callers take the order of the first pieces for the order of the calls
            call.unsent = {}
            if piece:
                pieces.append({"index": index} | piece)
        return pieces

    def _announcement(self, index: int, call: _Call) -> Object:
        call.announced = True
        is_taken = any(earlier.given_id == call.given_id for earlier in self._calls[:index])
        identity = self._make_id(index) if is_taken or not call.given_id else call.given_id
        head: Object = {"id": identity, "type": call.kind}
        return head | {call.kind: {"name": call.name, _INPUT[call.kind]: call.arguments}} | call.others

    def _continuation(self, call: _Call) -> Object:
        name, arguments = call.unsent.get("name"), call.unsent.get("arguments")
        payload: Object = ({"name": name} if name else {}) | ({_INPUT[call.kind]: arguments} if arguments else {})
        others: Object = call.unsent.get("others", {})
        return ({call.kind: payload} if payload else {}) | others


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _arguments(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _fresh(known: Object, piece: Object) -> Object:
    """Return what a piece adds to fields that are sent whole, and add it to ``known``."""
    fresh: Object = {}
    for key, value in piece.items():
        if key not in known:
            known[key] = fresh[key] = value if not isinstance(value, dict) else dict(value)
        elif isinstance(value, dict) and isinstance(known[key], dict) and (inner := _fresh(known[key], value)):
            fresh[key] = inner
    return fresh


def _merged(first: Object, second: Object) -> Object:
    merged = dict(first)
    for key, value in second.items():
        before = merged.get(key)
        merged[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged
