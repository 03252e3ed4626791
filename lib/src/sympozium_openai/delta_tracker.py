"""Deltas of a message: what a caller has of it, and what is still to send once the whole message is known. Pure."""

from typing import Any

JsonObject = dict[str, Any]

_CONSTANT = frozenset({"id", "type", "role", "name"})
"""Strings that a delta holds whole; some servers repeat them in every chunk."""
_CALLS = "tool_calls"
"""The one list that comes in pieces: the ``index`` of each item of a delta names its call."""


class DeltaTracker:
    """Progress of one message: the lengths of its texts, and which of its other fields came."""

    def __init__(self) -> None:
        self._lengths: dict[str, int] = {}
        self._inner: dict[str, DeltaTracker] = {}
        self._calls: dict[int, DeltaTracker] = {}
        self._others: set[str] = set()

    def add(self, delta: JsonObject) -> None:
        """Record a delta that was sent."""
        for key, value in delta.items():
            if key == _CALLS and isinstance(value, list):
                for position, call in enumerate(value):
                    if isinstance(call, dict):
                        self._call(call.get("index", position)).add(call)
            elif isinstance(value, str):
                self._lengths[key] = self._lengths.get(key, 0) + len(value)
            elif isinstance(value, dict):
                self._inner.setdefault(key, DeltaTracker()).add(value)
            elif value is not None:
                self._others.add(key)

    def rest(self, message: JsonObject) -> JsonObject:
        """Return the delta that is still to send of the whole message, empty if none is."""
        rest = {key: self._rest_of(key, value) for key, value in message.items()}
        return {key: value for key, value in rest.items() if value not in (None, "", {}, [])}

    def _rest_of(self, key: str, value: Any) -> Any:
        if key == _CALLS and isinstance(value, list):
            calls = [
                (index, self._call(index).rest(call)) for index, call in enumerate(value) if isinstance(call, dict)
            ]
            return [{"index": index} | call for index, call in calls if call]
        if isinstance(value, str):
            sent = self._lengths.get(key, 0)
            return value[sent:] if key not in _CONSTANT or not sent else ""
        if isinstance(value, dict):
            return self._inner.get(key, DeltaTracker()).rest(value)
        return None if key in self._others else value

    def _call(self, index: Any) -> "DeltaTracker":
        return self._calls.setdefault(index if isinstance(index, int) else 0, DeltaTracker())
