"""Columns of AgentRuns in ``kubectl get runs``, by which processes know runs without their questions and answers.

A column is (title, type, JSON path). The CRD of an older version lacks some of them: their values are absent.
"""

from typing import Any

from sympozium_api.resources import Object
from sympozium_api.run import ANSWER_BYTES, ENDED_AT, QUESTION_BYTES

Column = tuple[str, str, str]

MODE, INSTANCE, PHASE, START, MODEL = "Mode", "Instance", "Phase", "Start", "Model"
USER, SESSION, ERROR = "User", "Session", "Error"
INPUT_TOKENS, OUTPUT_TOKENS, TOOL_CALLS = "Input tokens", "Output tokens", "Tool calls"
STARTED = "Started"
FIRST_TOKEN_AT, EXACT_END = "First token at", "Ended at"
"""Moments of ``status.times``, to the microsecond. The time of acceptance is an annotation, which a row has anyway."""

COLUMNS: tuple[Column, ...] = (
    (MODE, "string", ".spec.mode"),
    (INSTANCE, "string", ".spec.agentRef"),
    (PHASE, "string", ".status.phase"),
    ("Reason", "string", ".status.conditions[?(@.status=='False')].reason"),
    ("Queue", "integer", ".status.queuePosition"),
    (START, "string", ".status.start"),
    (MODEL, "string", ".status.model"),
    ("Tokens", "integer", ".status.tokenUsage.totalTokens"),
    ("Duration", "string", ".status.duration"),
    ("Age", "date", ".metadata.creationTimestamp"),
)
WIDE_COLUMNS: tuple[Column, ...] = (
    (QUESTION_BYTES, "integer", ".spec.requestText.bytes"),
    (ANSWER_BYTES, "integer", ".status.answerBytes"),
    (STARTED, "string", ".status.startedAt"),
    (ENDED_AT, "string", ".status.completedAt"),
    (USER, "string", ".spec.caller.user"),
    (SESSION, "string", ".spec.sessionKey"),
    (ERROR, "string", ".status.error.type"),
    (INPUT_TOKENS, "integer", ".status.tokenUsage.inputTokens"),
    (OUTPUT_TOKENS, "integer", ".status.tokenUsage.outputTokens"),
    (TOOL_CALLS, "integer", ".status.tokenUsage.toolCalls"),
    (FIRST_TOKEN_AT, "string", ".status.times.firstTokenAt"),
    (EXACT_END, "string", ".status.times.endedAt"),
)
"""Columns of ``kubectl get runs -o wide`` only."""


def columns_of(run: Object) -> Object:
    """Return the values of a whole run by title, as a row of the run has them."""
    found = {title: _value(run, path) for title, _, path in (*COLUMNS, *WIDE_COLUMNS) if "[" not in path}
    return {title: value for title, value in found.items() if value is not None}


def _value(body: Any, path: str) -> Any:
    for key in path.strip(".").split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body
