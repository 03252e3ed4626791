"""Between the end record of a run and its terminal status: the one place that says how a run ends, whoever received the record.

Pure. Nothing here trusts a record: it comes from a pod.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sympozium_api import agent_protocol
from sympozium_api.run import MAX_RESULT_BYTES, RunStatus, TokenUsage
from sympozium_api.timestamps import timestamp

Status = dict[str, Any]

ERRORS = (
    *("model_error", "start_failed", "model_secret_missing", "answer_too_large", "timeout", "cancelled", "lost"),
    *("terminated", "agent_error", "answer_not_delivered", "task_refused", "internal_error", "caller_lost"),
)
"""The types of error that our parts write; a pod could send others."""

_PLAIN_CHOICE = frozenset({"index", "message", "finish_reason"})
_PLAIN_MESSAGE = frozenset({"role", "content"})
_PLAIN_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
_LARGEST_COUNT = 2**53


def status_of(
    record: Mapping[str, Any],
    *,
    job_name: str | None,
    pod_name: str | None,
    started_at: str | None,
    now: datetime,
    start: str | None = None,
) -> Status:
    """The terminal ``status`` of a run that ended with this record, to be written as a merge patch.

    ``done`` is Succeeded, unless the answer is empty of choices (``model_error``, 502) or longer than a run can store
    (``answer_too_large``, 502); ``error`` is Failed, or Cancelled when its type is ``cancelled``. What is None is left out.
    """
    about = {
        "jobName": job_name,
        "podName": pod_name,
        "startedAt": started_at,
        "completedAt": timestamp(now),
        "start": start,
    }
    return {key: value for key, value in (outcome(record) | about).items() if value is not None}


def outcome(record: Mapping[str, Any]) -> Status:
    """The part of that status that the record alone decides: phase, answer or error, token usage."""
    found = _answer(record) if record.get("type") == "done" else _failure(record.get("error"))
    return {key: value for key, value in (found | {"tokenUsage": _token_usage(record)}).items() if value is not None}


def record_of(status: RunStatus) -> agent_protocol.End:
    """The end record that a terminal status was written from: what a caller gets who asks again, or asks elsewhere."""
    usage = status.token_usage or TokenUsage()
    if status.phase == "Succeeded":
        message = {"role": "assistant", "content": status.result or ""}
        whole = {"index": 0, "message": message, "finish_reason": status.finish_reason}
        counts = dict(zip(_PLAIN_USAGE, (usage.input_tokens, usage.output_tokens, usage.total_tokens), strict=True))
        about = dict(status.details or {})
        done: agent_protocol.Done = {
            "type": "done",
            "choices": status.choices or [whole],
            "usage": about.pop("usage", counts if status.token_usage else {}),
            "durationMs": usage.duration_ms,
        }
        return {**done, "about": about} if about else done
    if status.error is None:
        return agent_protocol.error("cancelled", "the run was cancelled", 499)
    return agent_protocol.error(status.error.type, status.error.message, status.error.http_status, usage.duration_ms)


def _answer(record: Mapping[str, Any]) -> Status:
    choices = [choice for choice in record.get("choices") or [] if isinstance(choice, dict)]
    if not choices:
        return _failure(agent_protocol.error("model_error", "the model answered without any choice", 502)["error"])
    message = choices[0].get("message") or {}
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    stored = None if _is_plain(choices) else choices
    details = _details(record)
    size = len(text.encode(errors="replace")) + sum(
        len(json.dumps(part, ensure_ascii=False).encode(errors="replace")) for part in (stored, details) if part
    )
    if size > MAX_RESULT_BYTES:
        sentence = f"the answer has {size} bytes; a run stores at most {MAX_RESULT_BYTES}"
        return _failure(agent_protocol.error("answer_too_large", sentence, 502)["error"])
    reason = choices[0].get("finish_reason")
    return {
        "phase": "Succeeded",
        "result": text,
        "finishReason": reason[:64] if isinstance(reason, str) else None,
        "choices": stored,
        "details": details or None,
    }


def _details(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the model said beside its choices; its count only where ``tokenUsage`` cannot hold all of it."""
    about, usage = record.get("about"), record.get("usage")
    found = dict(about) if isinstance(about, Mapping) else {}
    if isinstance(usage, Mapping) and not set(usage) <= set(_PLAIN_USAGE):
        found["usage"] = dict(usage)
    return found


def _is_plain(choices: list[dict[str, Any]]) -> bool:
    """Whether the first choice's text and finish reason are all that there is to keep."""
    [first, *others] = choices
    message = first.get("message") or {}
    beside = [value for key, value in first.items() if key not in _PLAIN_CHOICE]
    beside += [value for key, value in message.items() if key not in _PLAIN_MESSAGE]
    return not others and not any(beside) and isinstance(message.get("content"), str | None)


def _failure(detail: Any) -> Status:
    detail = detail if isinstance(detail, Mapping) else {}
    kind = str(detail.get("type") or "internal_error")
    status = detail.get("httpStatus")
    return {
        "phase": "Cancelled" if kind == "cancelled" else "Failed",
        "error": {
            "type": kind[:64],
            "message": str(detail.get("message") or "the agent gave no reason")[:4096],
            "httpStatus": status if type(status) is int and 400 <= status <= 599 else 502,
        },
    }


def _token_usage(record: Mapping[str, Any]) -> Status | None:
    """The model's count, where there is one; ``toolCalls`` counts tools that the agent called itself, none so far."""
    usage = record.get("usage")
    if not isinstance(usage, Mapping):
        return None
    spent, written = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return {
        "inputTokens": spent,
        "outputTokens": written,
        "totalTokens": _count(usage.get("total_tokens")) or spent + written,
        "toolCalls": 0,
        "durationMs": _count(record.get("durationMs")),
    }


def _count(value: Any) -> int:
    return min(value, _LARGEST_COUNT) if type(value) is int and value > 0 else 0
