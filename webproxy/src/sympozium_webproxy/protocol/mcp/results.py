"""Results of tool calls, made from runs."""

from typing import Any

from mcp_types import CallToolResult, TextContent

from sympozium_api.agent_records import Done, End, Record
from sympozium_api.run import AgentRun
from sympozium_api.terminal_status import record_of
from sympozium_runs.run_failure import message_of

RUN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "run": {"type": "string", "description": "Name of the run."},
        "status": {"enum": ["pending", "running", "succeeded", "failed", "cancelled"]},
        "text": {"type": "string", "description": "The agent's answer, once the run has succeeded."},
        "finishReason": {"type": "string", "description": "Reason why the model stopped."},
        "usage": {"type": "object", "description": "Tokens, as the model counts them."},
        "error": {
            "type": "object",
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
            "required": ["type", "message"],
        },
    },
    "required": ["run", "status"],
}


def of_end(run: str, end: End) -> CallToolResult:
    """Return the result of an ended run: its answer or its error."""
    if end["type"] == "done":
        text, details = _answer(end)
        return _result(text, {"run": run, "status": "succeeded", "text": text} | details)
    error = end["error"]
    status = "cancelled" if error["type"] == "cancelled" else "failed"
    reason = {"type": error["type"], "message": message_of(error)}
    return _result(
        f"The run {run} {'was cancelled' if status == 'cancelled' else 'failed'} ({error['type']}): {reason['message']}",
        {"run": run, "status": status, "error": reason},
        is_error=True,
    )


def of_run(run: AgentRun) -> CallToolResult:
    """Return the state of a run, with its end if it has ended. Until then it is running, at every replica (decision 0042).

    The failure of the run is content of the result, not an error of the call that asked for it.

    """
    name = run.metadata.name
    if run.ended:
        return of_end(name, record_of(run.status)).model_copy(update={"is_error": False})
    return ongoing(name)


def ongoing(run: str) -> CallToolResult:
    """Return the state of a run that has not ended."""
    return _result(f"The run {run} is running.", {"run": run, "status": "running"})


def refused(message: str) -> CallToolResult:
    """Return the result of a call that could not be carried out, with a message for the client's model."""
    return _result(message, None, is_error=True)


def piece(choices: list[dict[str, Any]]) -> str:
    """Return the text that a piece of the model's stream adds to the answer."""
    texts = [(choice.get("delta") or {}).get("content") for choice in choices if not choice.get("index")]
    return "".join(text for text in texts if isinstance(text, str))


def progress(record: Record) -> tuple[str, int]:
    """Return the message of a record, and how much it adds to the call's progress: the text's characters, and 1 for a tool's begin.

    The message is empty where nothing is reported.
    """
    if record["type"] == "delta":
        text = piece(record["choices"])
        return text, len(text)
    if record["type"] == "tool" and record["state"] == "started":
        return f"tool {record['function']} started", 1
    return "", 0


def answer(end: Done) -> str:
    """Return the text of the answer."""
    return _answer(end)[0]


def _answer(end: Done) -> tuple[str, dict[str, Any]]:
    choice = end["choices"][0] if end["choices"] else {}
    message = choice.get("message") or {}
    text = message.get("content") or message.get("refusal")
    reason, usage = choice.get("finish_reason"), end["usage"]
    details = {"finishReason": reason if isinstance(reason, str) else None, "usage": usage or None}
    return text if isinstance(text, str) else "", {key: value for key, value in details.items() if value is not None}


def _result(text: str, structured: dict[str, Any] | None, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=structured, is_error=is_error
    )
