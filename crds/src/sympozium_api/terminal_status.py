"""Terminal status of a run: the only translation between a run's end record and its status.

Pure. Nothing here trusts a record, because it comes from a pod.
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
"""Types of error that this project's processes write; a pod could send others."""

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
    """Return the terminal ``status`` of a run that ended with this record, as a merge patch.

    ``done`` is Succeeded, unless the answer has no choices (``model_error``, 502) or is longer than a run can store
    (``answer_too_large``, 502). ``error`` is Failed, or Cancelled if its type is ``cancelled``. None is left out.
    """
    context = {
        "jobName": job_name,
        "podName": pod_name,
        "startedAt": started_at,
        "completedAt": timestamp(now),
        "start": start,
    }
    return {key: value for key, value in (outcome(record) | context).items() if value is not None}


def outcome(record: Mapping[str, Any]) -> Status:
    """Return the part of the status that the record alone decides: phase, answer or error, token usage."""
    status = _answer(record) if record.get("type") == "done" else _failure(record.get("error"))
    return {key: value for key, value in (status | {"tokenUsage": _token_usage(record)}).items() if value is not None}


def record_of(status: RunStatus) -> agent_protocol.End:
    """Return the end record that a terminal status was written from, for a caller who repeats a request or asks another replica."""
    usage = status.token_usage or TokenUsage()
    if status.phase == "Succeeded":
        message = {"role": "assistant", "content": status.result or ""}
        choice = {"index": 0, "message": message, "finish_reason": status.finish_reason}
        counts = dict(zip(_PLAIN_USAGE, (usage.input_tokens, usage.output_tokens, usage.total_tokens), strict=True))
        extra = dict(status.details or {})
        done: agent_protocol.Done = {
            "type": "done",
            "choices": status.choices or [choice],
            "usage": extra.pop("usage", counts if status.token_usage else {}),
            "durationMs": usage.duration_ms,
        }
        return {**done, "about": extra} if extra else done
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
    """Return the answer's other fields, and the model's count if ``tokenUsage`` cannot hold all of it."""
    extra, usage = record.get("about"), record.get("usage")
    details = dict(extra) if isinstance(extra, Mapping) else {}
    if isinstance(usage, Mapping) and not set(usage) <= set(_PLAIN_USAGE):
        details["usage"] = dict(usage)
    return details


def _is_plain(choices: list[dict[str, Any]]) -> bool:
    """Return true if the first choice's text and finish reason are the whole answer."""
    [first, *others] = choices
    message = first.get("message") or {}
    extras = [value for key, value in first.items() if key not in _PLAIN_CHOICE]
    extras += [value for key, value in message.items() if key not in _PLAIN_MESSAGE]
    return not others and not any(extras) and isinstance(message.get("content"), str | None)


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
    """Return the model's count, if there is one; ``toolCalls`` counts tools that the agent called itself, which is none so far."""
    usage = record.get("usage")
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return {
        "inputTokens": prompt,
        "outputTokens": completion,
        "totalTokens": _count(usage.get("total_tokens")) or prompt + completion,
        "toolCalls": 0,
        "durationMs": _count(record.get("durationMs")),
    }


def _count(value: Any) -> int:
    return min(value, _LARGEST_COUNT) if type(value) is int and value > 0 else 0
