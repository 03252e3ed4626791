"""Records of one run that wait to be read, held compactly. No I/O.

A record as a dict takes ten times the bytes of its line. So only the latest records are held as dicts; the deltas before
them are merged, and held as JSON lines.
"""

import copy
import json
from collections import deque
from typing import Any, Self, cast

from sympozium_api.agent_records import Delta, Record
from sympozium_http.byte_budget import ByteBudget

_RECENT = 64
"""Records that are held as they came, so that a caller that reads without delay gets each of them."""
_RECENT_BYTES = 64 * 1024
_MERGED_BYTES = 64 * 1024
"""Bytes of records that are merged into one delta; not more, because each merge copies the text so far."""
_GROWING = frozenset({"content", "reasoning", "reasoning_content", "refusal", "arguments"})
"""Texts that a model sends in pieces."""
_CONSTANT = frozenset({"id", "type", "role", "name", "index"})
"""Values that some model servers repeat in every piece."""


class RecordBuffer:
    """Records in their order, of which the first can be taken; each byte is counted in ``budget`` until it is taken."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._lines = bytearray()
        """The oldest records, as JSON lines."""
        self._merged: tuple[Record, int] | None = None
        """The record after them, which still grows, and its bytes."""
        self._recent: deque[tuple[Record, int]] = deque()
        """The latest records, each with its bytes."""
        self._recent_bytes = 0
        self._taken = 0
        """Bytes of ``_lines`` that were taken."""
        self.size = 0
        """Bytes of all records that are held."""

    def __bool__(self) -> bool:
        return bool(self._recent or self._merged or self._taken < len(self._lines))

    def append(self, record: Record, size: int) -> None:
        """Add a record; ``size`` is the length of its JSON in bytes."""
        self._recent.append((record, size))
        self._recent_bytes += size
        self._count(size)
        while len(self._recent) > _RECENT or (len(self._recent) > 1 and self._recent_bytes > _RECENT_BYTES):
            self._pack(*self._drop_recent())

    def take(self) -> Record | None:
        """Return the oldest record and drop it; None if there is none."""
        if self._taken < len(self._lines):
            return self._take_line()
        if self._merged:
            record, size = self._merged
            self._merged = None
        elif self._recent:
            record, size = self._drop_recent()
        else:
            return None
        self._count(-size)
        return record

    def duplicate(self) -> Self:
        """Return a buffer with the same records."""
        other = copy.copy(self)
        other._lines, other._recent = bytearray(self._lines), deque(self._recent)  # noqa: SLF001 - of this class
        self._budget.add(self.size)
        return other

    def clear(self) -> None:
        """Drop all records."""
        self._lines, self._merged, self._taken = bytearray(), None, 0
        self._recent.clear()
        self._recent_bytes = 0
        self._count(-self.size)

    def _count(self, size: int) -> None:
        self.size += size
        self._budget.add(size)

    def _drop_recent(self) -> tuple[Record, int]:
        record, size = self._recent.popleft()
        self._recent_bytes -= size
        return record, size

    def _pack(self, record: Record, size: int) -> None:
        """Merge a record with the one before it, or hold that one as a line."""
        if self._merged:
            before, length = self._merged
            if length < _MERGED_BYTES and (merged := _merged(before, record)):
                self._merged = merged, length + size
                return
            line = json.dumps(before, separators=(",", ":")).encode() + b"\n"
            self._lines += line
            self._count(len(line) - length)
        self._merged = record, size

    def _take_line(self) -> Record:
        end = self._lines.index(b"\n", self._taken) + 1
        record: Record = json.loads(self._lines[self._taken : end])
        self._count(self._taken - end)
        self._taken = end
        if self._taken == len(self._lines) or self._taken > _RECENT_BYTES:
            del self._lines[: self._taken]
            self._taken = 0
        return record


def _merged(first: Record, second: Record) -> Delta | None:
    """Return the delta that says the same as two records; None unless the second only continues texts of the first."""
    if first["type"] != "delta" or second["type"] != "delta" or first.get("about") != second.get("about"):
        return None
    pair = _single(first.get("choices")), _single(second.get("choices"))
    if pair[0] is None or pair[1] is None or not (_says_only_delta(pair[0]) and _says_only_delta(pair[1])):
        return None
    choice = _joined(pair[0], pair[1])
    return cast(Delta, {**first, "choices": [choice]}) if choice else None


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any] | None:
    """Return an object with the texts of two; None if the second adds anything else."""
    whole = dict(first)
    for key, value in second.items():
        before = first.get(key)
        if value is None or (key in _CONSTANT and value == before):
            continue
        if key in _GROWING and isinstance(before, str) and isinstance(value, str):
            whole[key] = before + value
            continue
        old, new = (_single(before), _single(value)) if key == "tool_calls" else (before, value)
        inner = _joined(old, new) if isinstance(old, dict) and isinstance(new, dict) else None
        if inner is None:
            return None
        whole[key] = [inner] if key == "tool_calls" else inner
    return whole


def _single(value: Any) -> dict[str, Any] | None:
    """Return the object in a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else None


def _says_only_delta(choice: dict[str, Any]) -> bool:
    """Return whether a choice has no field that belongs to this piece alone, such as log probabilities."""
    return not any(value for key, value in choice.items() if key not in ("index", "delta"))
