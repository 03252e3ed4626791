"""A run in full: why it ended so, its timeline, question and answer. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sympozium_api.failed_run_advice import what_helps
from sympozium_api.names import ANNOTATION_ACCEPTED_AT, ANNOTATION_KEY_ID, LABEL_SOURCE
from sympozium_api.resources import Object
from sympozium_cli.plain_text import plain
from sympozium_cli.tui.views.columns import Tone
from sympozium_cli.tui.views.contents import Message
from sympozium_cli.tui.views.events import EventItem
from sympozium_cli.tui.views.lines import Line, foreign, heading, labelled
from sympozium_cli.tui.views.reading import at, count_at, items_at, moment, number, text_at
from sympozium_cli.tui.views.runs import phase_cell

_BAR = 30
_MOST_FORMATTED = 64 * 1024
"""Longest answer in characters that is formatted; a longer one is shown as it is."""

Formatted = Callable[[str], Sequence[Any]]
"""Returns the blocks of a text in Markdown."""


@dataclass(frozen=True)
class RunContents:
    """Values that a run's detail shows beside its object."""

    question: Sequence[Message] = ()
    tools: Sequence[str] = ()
    answer: Sequence[Message] = ()
    events: Sequence[EventItem] = field(default=())


@dataclass(frozen=True)
class _Step:
    label: str
    at: datetime


def timeline(run: Object) -> list[Line]:
    """Return a line for each moment of a run, with a bar that shows where it lies between acceptance and end."""
    times = at(run, "status", "times")
    accepted = at(times, "acceptedAt") or at(run, "metadata", "annotations", ANNOTATION_ACCEPTED_AT)
    moments = [
        ("accepted", accepted or at(run, "metadata", "creationTimestamp")),
        ("job", at(times, "jobAt")),
        ("first token", at(times, "firstTokenAt")),
        ("ended", at(times, "endedAt") or at(run, "status", "completedAt")),
    ]
    steps = [_Step(label, found) for label, text in moments if (found := moment(text))]
    if not steps:
        return []
    first = steps[0].at
    whole = max((step.at - first).total_seconds() for step in steps) or 1.0
    return [_step_line(step, max(0.0, (step.at - first).total_seconds()), whole) for step in steps]


def _step_line(step: _Step, offset: float, whole: float) -> Line:
    filled = round(_BAR * offset / whole)
    exact = f"{step.at.astimezone():%H:%M:%S.%f}"[:-3]
    return Line(f"{step.label:<12} {exact}  {'+' + _seconds(offset):>9}  {'█' * filled}{'·' * (_BAR - filled)}")


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f}ms" if value < 1 else f"{value:.2f}s"


def run_blocks(run: Object, contents: RunContents, formatted: Formatted) -> list[Any]:
    """Return the blocks of a run's detail: lines, and what ``formatted`` makes of answers."""
    return [
        *_summary(run),
        *heading("timeline"),
        *timeline(run),
        *_question(contents),
        *_answer(run, contents, formatted),
        *_steps(run),
        *condition_lines(run),
        *event_lines(contents.events),
    ]


def _summary(run: Object) -> list[Line]:
    status, error = at(run, "status"), at(run, "status", "error")
    phase = phase_cell(text_at(status, "phase") or "Pending", text_at(error, "type"))
    usage = at(status, "tokenUsage")
    tokens = [
        f"{number(count)} {word}"
        for word, count in (("in", count_at(usage, "inputTokens")), ("out", count_at(usage, "outputTokens")))
        if count is not None
    ]
    pod = text_at(status, "podName")
    lines = [Line(phase.text, phase.tone)]
    if error:
        lines += foreign(at(error, "message") or "", "bad")
        lines.append(Line(f"→ {what_helps(text_at(error, 'type'))}"))
    return [
        *lines,
        Line(),
        *labelled("instance", text_at(run, "spec", "agentRef")),
        *labelled("model", text_at(status, "model") or text_at(run, "spec", "model", "model")),
        *labelled("source", text_at(run, "metadata", "labels", LABEL_SOURCE) or "kubectl"),
        *labelled("caller", text_at(run, "spec", "caller", "user")),
        *labelled("key", text_at(run, "metadata", "annotations", ANNOTATION_KEY_ID)),
        *labelled("session", text_at(run, "spec", "sessionKey")),
        *labelled("start", text_at(status, "start")),
        *labelled("queue", _place(count_at(status, "queuePosition"))),
        *labelled("duration", text_at(status, "duration")),
        *labelled("tokens", ", ".join(tokens)),
        *labelled("tool calls", count_at(usage, "toolCalls") or ""),
        *labelled("stopped by", text_at(status, "finishReason")),
        *labelled("pod", pod),
        *labelled("cancel", "asked for" if at(run, "spec", "cancel") is True else ""),
    ]


def _place(queue: int | None) -> str:
    return "" if queue is None else f"place {queue}"


def _question(contents: RunContents) -> list[Line]:
    lines = heading("question")
    for message in contents.question:
        lines += _spoken(message)
    if contents.tools:
        lines.append(Line(f"tools: {len(contents.tools)} ({', '.join(map(plain, contents.tools))})", "dim"))
    return lines if contents.question else []


def _spoken(message: Message) -> list[Line]:
    role: Tone = "dim" if message.role in {"system", "developer"} else "strong"
    calls = [Line(f"  calls {plain(call)}", "warn") for call in message.tools]
    return [Line(f"{plain(message.role)}:", role), *foreign(message.text or ""), *calls]


def _answer(run: Object, contents: RunContents, formatted: Formatted) -> list[Any]:
    if not contents.answer:
        return []
    blocks: list[Any] = heading("answer")
    for number_, message in enumerate(contents.answer, 1):
        blocks += [Line(f"choice {number_}:", "dim")] if len(contents.answer) > 1 else []
        is_short = len(message.text) <= _MOST_FORMATTED
        blocks += formatted(message.text) if is_short else foreign(message.text)
        blocks += [Line(f"  calls {plain(call)}", "warn") for call in message.tools]
    broken = at(run, "status", "phase") == "Failed"
    return [*blocks, Line("(the answer broke off)", "bad")] if broken else blocks


def _steps(run: Object) -> list[Line]:
    steps = items_at(run, "status", "steps")
    lines = heading("steps")
    for step in steps:
        name = text_at(step, "name") or text_at(step, "kind")
        error = text_at(step, "error")
        took = f"{count_at(step, 'durationMs') or 0}ms"
        lines.append(Line(f"{'✗' if error else '✓'} {name:<24} {took:>8}  {error}", "bad" if error else ""))
    return lines if steps else []


def condition_lines(body: Object) -> list[Line]:
    """Return a line for each condition of an object, with its message below."""
    lines = heading("conditions")
    for item in items_at(body, "status", "conditions"):
        is_true = at(item, "status") == "True"
        bad_if_true = at(item, "type") in {"Reconciling", "Stalled", "Failed"}
        tone: Tone = "dim" if at(item, "type") == "Reconciling" else "bad" if is_true == bad_if_true else "good"
        sign = "✓" if tone == "good" else "✗" if tone == "bad" else "·"
        status = text_at(item, "status")
        lines.append(Line(f"{sign} {text_at(item, 'type'):<18} {status:<6} {text_at(item, 'reason')}", tone))
        lines += [Line(f"    {text_at(item, 'message')}")] if at(item, "message") else []
    return lines if items_at(body, "status", "conditions") else []


def event_lines(events: Sequence[EventItem]) -> list[Line]:
    """Return a line for each event, newest first."""
    lines = heading("events")
    for event in sorted(events, key=lambda item: item.order, reverse=True):
        is_bad = event.type == "Warning"
        when = f"{event.last.astimezone():%H:%M:%S}" if event.last else ""
        about = f"{event.about[0]}/{event.about[2]}"
        lines.append(Line(f"{'!' if is_bad else ' '} {when}  {event.reason}  {about}", "warn" if is_bad else ""))
        lines.append(Line(f"    {event.message}"))
    return lines if events else []
