"""Terminal status of a run: the only translation between a run's end record and its status. Pure."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sympozium_api import agent_protocol, agent_records
from sympozium_api.end_record import MAX_MODEL, count_of, end_of, error_type
from sympozium_api.json_text import MAX_TEXT_BYTES, StoredText, TextError, json_text, stored_bytes, text_in_parts
from sympozium_api.run_contents import json_object
from sympozium_api.run_status import MAX_RESULT_BYTES, RunError, RunStatus, TokenUsage
from sympozium_api.run_steps import size_of
from sympozium_api.run_times import duration_text, times
from sympozium_api.timestamps import parse_timestamp, timestamp

Status = dict[str, Any]

ERRORS = (
    *("model_error", "start_failed", "model_secret_missing", "answer_too_large", "answer_not_storable", "timeout"),
    *("cancelled", "lost", "terminated", "agent_error", "answer_not_delivered", "task_refused", "internal_error"),
    "caller_lost",
    "model_secret_refused",
    "policy_denied",
    "instance_missing",
    "model_unreachable",
    "limit_exceeded",
)
"""Types of error that this project's processes write; a pod could send others."""

OLDEST_LEFT_OUT = "OldestLeftOut"
"""Reason of the condition of a run whose session is longer than its bound."""

_PLAIN_CHOICE = frozenset({"index", "message", "finish_reason"})
_PLAIN_MESSAGE = frozenset({"role", "content"})
_PLAIN_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
_COUNTED_BYTES = 4096
"""Bytes of an answer within its run from which the status says how many: a shorter one takes no more than the rest of its run."""


@dataclass(frozen=True)
class Ending:
    """An end record as it is stored."""

    outcome: Status
    """The part of the status that the record alone decides: phase, answer or error, token usage."""
    record: agent_records.End
    """The end record that will be read from the status that it becomes."""
    answer: StoredText | None = None
    """The answer's text if it is in parts: their data, and the field ``status.answer`` that names them."""
    size: int | None = None
    """Bytes of memory that the text of an answer in parts takes."""


def status_of(
    end: Mapping[str, Any] | Ending,
    *,
    job_name: str | None,
    pod_name: str | None,
    started_at: str | None,
    now: datetime,
    start: str | None = None,
    model: str | None = None,
    generation: int | None = None,
    accepted_at: str | None = None,
    job_at: str | None = None,
    first_token_at: datetime | None = None,
    left_out: int = 0,
) -> Status:
    """Return the terminal ``status`` of a run that ended with this record, as a merge patch.

    ``done`` is Succeeded, unless the answer has no choices (``model_error``, 502) or is longer than a run can store
    (``answer_too_large``, 502). ``error`` is Failed, or Cancelled if its type is ``cancelled``. None is left out.
    ``model``: the run's, where the record names none. ``generation``: that of the run's spec. ``accepted_at`` and ``job_at``:
    timestamps. ``left_out``: messages of the run's session that its request does not have.
    """
    outcome = (end if isinstance(end, Ending) else ending_of(end)).outcome
    context = {
        "jobName": job_name,
        "podName": pod_name,
        "startedAt": started_at,
        "completedAt": timestamp(now),
        "start": start,
        "model": outcome.get("model") or (model[:MAX_MODEL] if model else None),
        "duration": duration_text((now - parse_timestamp(accepted_at)).total_seconds()) if accepted_at else None,
        "times": times(acceptedAt=accepted_at, jobAt=job_at, firstTokenAt=first_token_at, endedAt=now),
        "conditions": _conditions(outcome, timestamp(now), generation, left_out),
    }
    return {key: value for key, value in (outcome | context).items() if value is not None}


def _conditions(end: Status, now: str, generation: int | None, left_out: int) -> list[Status]:
    """Return the conditions of an ended run, for ``kubectl wait`` and for tools that read them as kstatus does."""
    if end["phase"] == "Succeeded":
        reason, message, states = "Succeeded", "the run has an answer", {"Complete": "True"}
    else:
        reason = "".join(word.capitalize() for word in end["error"]["type"].split("_")) or "Failed"
        message, states = "status.error has the message", {"Complete": "False", "Failed": "True", "Stalled": "True"}
    observed = {"lastTransitionTime": now} | ({} if generation is None else {"observedGeneration": generation})
    ended = {"reason": reason, "message": message} | observed
    conditions: list[Status] = [{"type": kind, "status": state} | ended for kind, state in states.items()]
    if left_out:
        message = f"the session's {left_out} oldest messages were left out of the request"
        conditions.append(
            {"type": "HistoryComplete", "status": "False", "reason": OLDEST_LEFT_OUT, "message": message} | observed
        )
    return conditions


def outline(end: agent_records.End) -> Status:
    """Return the small fields of the status that a well-formed end record decides: phase, finish reason, error, token usage.

    The rest of the answer is not looked at, because a long one takes half a second.
    """
    return _outline(end, end.get("usage"))


def _outline(end: agent_records.End, reported_usage: Any) -> Status:
    usage = {"tokenUsage": _token_usage(reported_usage, end["durationMs"], count_of(end.get("toolCalls")))}
    if end["type"] == "error":
        status = _failure(end["error"]) | usage
    elif not end["choices"]:
        status = _refusal("model_error", "The model answered without any choice.") | usage
    else:
        reason = end["choices"][0].get("finish_reason")
        status = {"phase": "Succeeded", "finishReason": reason[:64] if isinstance(reason, str) else None} | usage
    return {key: value for key, value in status.items() if value is not None}


def ending_of(record: Mapping[str, Any], *, in_parts: bool = False) -> Ending:
    """Return an end record as it is stored. An answer that does not fit into its run, or ``in_parts``, is kept whole in parts.

    A long answer takes a tenth of a second, and three times its text.
    """
    end = end_of(record)
    status = _outline(end, record.get("usage"))
    if steps := end.get("steps"):
        status["steps"] = steps
    if model := end.get("model"):
        status["model"] = model
    if status["phase"] != "Succeeded" or end["type"] == "error":
        return _small(status)
    fields = None if in_parts else _fields(end, MAX_RESULT_BYTES - size_of(status.get("steps")))
    return _small(status | fields) if fields is not None else _in_parts(status, end)


def _small(outcome: Status) -> Ending:
    return Ending(outcome, record_of(_as_read(outcome)))


def _as_read(outcome: Status) -> RunStatus:
    text = json.dumps(outcome, ensure_ascii=False).encode(errors="replace")  # as the client encodes a status
    return RunStatus.model_validate(json.loads(text))


def _in_parts(outcome: Status, end: agent_records.Done) -> Ending:
    """Return an answer as it is stored in parts: its text is the whole record but for plain counts of tokens."""
    kept: dict[str, Any] = {"choices": end["choices"]} | _beside_text(end)
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    try:
        content, stored = text.encode(), kept  # and not a second copy of it
    except UnicodeEncodeError:
        content = text.encode(errors="replace")  # as the client encodes a status
        stored = json.loads(content)
    if len(content) > MAX_TEXT_BYTES:
        sentence = f"The answer has {len(content)} bytes; a run stores at most {MAX_TEXT_BYTES}."
        kept = {name: outcome[name] for name in ("tokenUsage", "steps", "model") if name in outcome}
        return _small(_refusal("answer_too_large", sentence) | kept)
    answer = text_in_parts(content)
    outcome = outcome | {"answer": answer.field}
    return Ending(outcome, _done(_as_read(outcome), stored), answer, sys.getsizeof(text))


def as_stored(record: Mapping[str, Any]) -> agent_records.End:
    """Return an end record as it will be read from the status that it becomes."""
    return ending_of(record).record


def record_of(status: RunStatus) -> agent_records.End:
    """Return the end record that a terminal status was written from, for a caller who repeats a request or asks another replica.

    An answer that cannot be read, because somebody else wrote it, is the error ``internal_error``.
    """
    usage = status.token_usage or TokenUsage()
    if status.phase == "Succeeded":
        try:
            return _done(status, _kept(status))
        except TextError as error:
            return agent_protocol.error_of(
                "internal_error", f"the answer cannot be read: {error}", 502, usage.duration_ms
            )
    if status.error is None:
        return agent_protocol.error("cancelled", "The run was cancelled.", 499)
    return _error_record(status.error, usage.duration_ms)


def _done(status: RunStatus, beside_text: Mapping[str, Any]) -> agent_records.Done:
    """Return the end record of a run that succeeded. Raises TextError."""
    usage = status.token_usage or TokenUsage()
    message = {"role": "assistant", "content": status.result or ""}
    choice = {"index": 0, "message": message, "finish_reason": status.finish_reason}
    counts = dict(zip(_PLAIN_USAGE, (usage.input_tokens, usage.output_tokens, usage.total_tokens), strict=True))
    reported = {name: count for name, count in counts.items() if count is not None}
    kept = {"choices": [choice], "usage": reported, **beside_text}
    end = end_of(kept | {"type": "done", "durationMs": usage.duration_ms})
    if end["type"] == "error":
        raise TextError("status.answer: it holds no choices, or values that are not JSON")
    return end


def _kept(status: RunStatus) -> dict[str, Any]:
    """Return what a status keeps of an answer beside its text. Raises TextError."""
    if status.answer is not None:
        return json_object(status.answer.read("status.answer"), "status.answer")
    about = dict(status.details or {})
    kept = {"choices": status.choices, "usage": about.pop("usage", None), "about": about}
    return {name: value for name, value in kept.items() if value}


def _error_record(error: RunError, duration_ms: int) -> agent_records.Error:
    words = agent_protocol.model_words(error.code, error.model_type, error.param, error.retry_after_seconds)
    return agent_protocol.error(error_type(error.type), error.message, error.http_status, duration_ms, words=words)


def _fields(record: agent_records.Done, most: int) -> Status | None:
    """Return the fields of a status that hold an answer; None if it takes more than ``most`` bytes in its object."""
    message = record["choices"][0].get("message") or {}
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    if len(text) > most:
        return None
    room = most - stored_bytes(text.encode(errors="replace"))
    kept = _beside_text(record)
    beside = json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else ""
    beside = beside.encode(errors="replace").decode()  # as the client encodes the text itself
    if room < 0 or len(beside.encode()) > room:
        return None
    answer = json_text(beside, plain_bytes=room, packed_bytes=room) if beside else None
    if answer is not None and answer.parts:
        return None
    taken = most - room + len(beside.encode())
    sizes = {"answerBytes": taken} if taken >= _COUNTED_BYTES else {}
    return {"result": text} | ({"answer": answer.field} if answer else {}) | sizes


def _beside_text(record: agent_records.Done) -> dict[str, Any]:
    """Return the part of an answer that the other fields of a status cannot hold."""
    usage, about = record["usage"], record.get("about")
    return {
        **({} if _is_plain(record["choices"]) else {"choices": record["choices"]}),
        **({} if set(usage) <= set(_PLAIN_USAGE) else {"usage": usage}),
        **({"about": about} if about else {}),
    }


def _is_plain(choices: list[dict[str, Any]]) -> bool:
    """Return true if the first choice's text and finish reason are the whole answer."""
    [first, *others] = choices
    message = first.get("message") or {}
    extras = [value for key, value in first.items() if key not in _PLAIN_CHOICE]
    extras += [value for key, value in message.items() if key not in _PLAIN_MESSAGE]
    return not others and not any(extras) and isinstance(message.get("content"), str | None)


def _refusal(kind: str, sentence: str) -> Status:
    return _failure(agent_protocol.error(kind, sentence, 502)["error"])


def _failure(detail: agent_records.RunErrorDetail) -> Status:
    phase = "Cancelled" if detail["type"] == "cancelled" else "Failed"
    return {"phase": phase, "error": dict(detail)}


def count_tokens(usage: Any) -> int:
    """Return the tokens of a model's count, of prompt and answer together; 0 of what is no count."""
    counts = _token_usage(usage, 0) or {}
    return int(counts.get("inputTokens", 0)) + int(counts.get("outputTokens", 0))


def _token_usage(usage: Any, duration_ms: int, tool_calls: int = 0) -> Status | None:
    """Return the consumption of a run, if its end record has a count. What no model reported is absent."""
    if not isinstance(usage, Mapping):
        return None
    reported = [usage.get(name) for name in _PLAIN_USAGE]
    prompt, completion, total = (count_of(value) if type(value) is int else None for value in reported)
    if prompt is not None or completion is not None:
        total = total or (prompt or 0) + (completion or 0)
    counts = {"inputTokens": prompt, "outputTokens": completion, "totalTokens": total}
    known = {name: count for name, count in counts.items() if count is not None}
    return known | {"toolCalls": tool_calls, "durationMs": duration_ms}
