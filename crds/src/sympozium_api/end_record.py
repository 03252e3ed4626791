"""End record of a run as this project trusts it: ``end_of`` makes a well-formed one of anything. Pure.

Nothing here trusts a record, because it comes from a pod.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from sympozium_api import agent_protocol, agent_records
from sympozium_api.model_refusal import MAX_RETRY_SECONDS, MAX_WORD
from sympozium_api.run_steps import steps_of

_ERROR_TYPE = re.compile("[a-z0-9_]{1,64}")
_LARGEST_COUNT = 2**53
_DEEPEST = 64
"""Levels of an answer's parts. JSON libraries and the API server refuse values that are much deeper."""
_MOST_CHOICES = 128
MAX_MODEL = 256
"""Characters of a model's name."""
_MODELS_WORDS = ("code", "modelType", "param")


def end_of(record: Mapping[str, Any]) -> agent_records.End:
    """Return the well-formed end record that a pod's record means, whatever its shape.

    ``done`` with choices that are no choices, or cannot be stored, becomes the error ``model_error``. Malformed fields beside them
    are dropped.
    """
    duration, beside = count_of(record.get("durationMs")), _steps(record)
    choices, about, usage = record.get("choices"), record.get("about"), record.get("usage")
    if record.get("type") != "done":
        failed: agent_records.Error = {
            "type": "error",
            "error": _error_detail(record.get("error")),
            "durationMs": duration,
        }
        counted = {"usage": dict(usage)} if isinstance(usage, Mapping) and _is_storable(usage) else {}
        return cast("agent_records.Error", {**failed, **beside, **counted})
    if not (isinstance(choices, list) and len(choices) <= _MOST_CHOICES and all(map(_is_choice, choices))):
        return agent_protocol.error("model_error", "The agent's answer is malformed.", 502, duration)
    if not (_is_storable(choices) and _is_storable(about) and _is_storable(usage)):
        return agent_protocol.error("model_error", "The answer holds a value that cannot be stored.", 502, duration)
    done: agent_records.Done = {
        "type": "done",
        "choices": choices,
        "usage": dict(usage) if isinstance(usage, Mapping) else {},
        "durationMs": duration,
    }
    details = {"about": dict(about)} if isinstance(about, Mapping) and about else {}
    return cast("agent_records.Done", {**done, **details, **beside})


def _steps(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an end record with the course of a run, as far as it has them."""
    steps, calls, model = steps_of(record.get("steps")), count_of(record.get("toolCalls")), record.get("model")
    asked = {"model": model[:MAX_MODEL].encode(errors="replace").decode()} if isinstance(model, str) and model else {}
    return ({} if steps is None else {"steps": steps}) | ({"toolCalls": calls} if calls else {}) | asked


def _is_choice(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("message"), dict | None)


def _is_storable(value: Any) -> bool:
    """Return whether a part of an answer is JSON that every reader can parse."""
    return all(
        depth <= _DEEPEST and not (isinstance(part, float) and not math.isfinite(part)) for depth, part in _parts(value)
    )


def _parts(value: Any) -> Iterator[tuple[int, Any]]:
    """Yield a value and everything in it, with its depth."""
    waiting = [(0, value)]
    while waiting:
        depth, part = waiting.pop()
        yield depth, part
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        waiting += [(depth + 1, item) for item in inner]


def _error_detail(detail: Any) -> agent_records.RunErrorDetail:
    detail = detail if isinstance(detail, Mapping) else {}
    status = detail.get("httpStatus")
    known = {
        "type": error_type(detail.get("type")),
        "message": _text(detail.get("message"), "The agent gave no reason.")[:4096],
        "httpStatus": status if type(status) is int and 400 <= status <= 599 else 502,
    }
    return cast("agent_records.RunErrorDetail", known | _models_words(detail))


def error_type(value: Any) -> str:
    """Return a type of error that is a word, because callers get it in a header."""
    return value if isinstance(value, str) and _ERROR_TYPE.fullmatch(value) else "internal_error"


def _text(value: Any, default: str) -> str:
    return value if isinstance(value, str) and value else default


def _models_words(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model server itself said of its error, if a status can hold it."""
    words = {name: detail[name][:MAX_WORD] for name in _MODELS_WORDS if isinstance(detail.get(name), str)}
    seconds = detail.get("retryAfterSeconds")
    is_wait = type(seconds) is int and 0 <= seconds <= MAX_RETRY_SECONDS
    return words | ({"retryAfterSeconds": seconds} if is_wait else {})


def count_of(value: Any) -> int:
    """Return a count that a run can store: 0 of what is no count."""
    return min(value, _LARGEST_COUNT) if type(value) is int and value > 0 else 0
