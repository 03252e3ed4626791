"""Steps of an end record as a run keeps them: well-formed, and bounded. Pure. Nothing here trusts a record, because it comes from a pod."""

import json
import math
from collections.abc import Mapping
from typing import Any

from sympozium_api.run_status import MAX_STEP_ARGS, MAX_STEPS
from sympozium_api.timestamps import parse_timestamp

MAX_STEPS_BYTES = 128 * 1024
"""Most bytes that the steps of a run take together."""

_TEXTS = (("name", 64), ("title", 200), ("id", 256), ("args", MAX_STEP_ARGS), ("error", 512))
"""Fields that are texts, with their greatest lengths."""
_NUMBERS = ("durationMs", "inputTokens", "outputTokens")
_LARGEST = 2**53

Step = dict[str, Any]


def steps_of(given: Any) -> list[Step] | None:
    """Return the steps of an end record; None if it has none. Arguments go first where they take too much room, the last ones first."""
    if not isinstance(given, list):
        return None
    steps = [
        _step(step) for step in given[:MAX_STEPS] if isinstance(step, Mapping) and step.get("kind") in ("model", "tool")
    ]
    room = MAX_STEPS_BYTES - sum(map(_size, steps))
    for field in ("args", "error"):
        for step in reversed(steps):
            if room >= 0:
                return steps
            before = _size(step)
            step.pop(field, None)
            room += before - _size(step)
    while room < 0:
        room += _size(steps.pop())
    return steps


def size_of(steps: list[Step] | None) -> int:
    """Return the bytes that steps take in their run."""
    return sum(map(_size, steps or ()))


def _size(step: Step) -> int:
    return len(json.dumps(step, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")) + 1


def _step(given: Mapping[str, Any]) -> Step:
    step: Step = {"kind": given["kind"]}
    texts = {name: given[name][:longest] for name, longest in _TEXTS if isinstance(given.get(name), str)}
    step |= {name: text.encode(errors="replace").decode() for name, text in texts.items()}
    if isinstance(moment := given.get("startedAt"), str) and _is_timestamp(moment):
        step["startedAt"] = moment
    counts = {name: given.get(name) for name in _NUMBERS}
    return {"durationMs": 0} | step | {name: count for name, count in counts.items() if _is_count(count)}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_timestamp(text: str) -> bool:
    try:
        return len(text) <= 40 and math.isfinite(parse_timestamp(text).timestamp())
    except (ValueError, OverflowError):
        return False
