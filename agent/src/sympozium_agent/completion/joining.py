"""Joining of the pieces of a value whose name is not known: its type decides. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Object = dict[str, Any]

CONSTANT = frozenset({"id", "type", "role", "name", "format"})
"""Strings that a delta holds whole; some servers repeat them in every chunk."""


def joined(pieces: Iterable[Any]) -> Any:
    """Join the pieces of one value: texts and lists in sequence, objects key by key; of any other type, keep the last."""
    present = [piece for piece in pieces if piece is not None]
    match present:
        case []:
            return None
        case [str(), *_] if all(isinstance(piece, str) for piece in present):
            return "".join(present)
        case [dict(), *_] if all(isinstance(piece, dict) for piece in present):
            return joined_objects(present)
        case [list(), *_] if all(isinstance(piece, list) for piece in present):
            return _joined_lists([item for piece in present for item in piece])
    return present[-1]


def joined_objects(pieces: list[Object]) -> Object:
    """Join objects key by key."""
    keys = dict.fromkeys(key for piece in pieces for key in piece)
    return {key: _joined_field(key, [piece[key] for piece in pieces if key in piece]) for key in keys}


def _joined_field(key: str, values: list[Any]) -> Any:
    if key == "index":
        return values[0]
    if key in CONSTANT:
        return next((value for value in values if value), values[0])
    return joined(values)


def _joined_lists(items: list[Any]) -> list[Any]:
    """Join items of the same ``index`` and keep items without an index as they are."""
    if not all(isinstance(item, dict) and isinstance(item.get("index"), int) for item in items):
        return items
    groups: dict[int, list[Object]] = {}
    for item in items:
        groups.setdefault(item["index"], []).append(item)
    return [joined_objects(groups[index]) for index in sorted(groups)]
