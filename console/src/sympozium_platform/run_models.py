"""Bodies and answers about runs."""

import json
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from sympozium_domain.stored_runs.stored_run import StoredRun
from sympozium_platform import pydantic_ai_messages

_NO_OUTPUT = ""


class RunBody(BaseModel):
    """A message to a published agent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    agent_id: uuid.UUID
    input_message: Annotated[str, Field(min_length=1, description="Message of the user.")]
    session_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=253,
            description="Id of a session: the run continues the last one of the same agent and id. Omitted: a new session begins.",
        ),
    ] = None


class CalledTool(BaseModel):
    """One call of a tool."""

    name: str
    """Name under which the tool was registered."""
    tool_call_id: str | None
    args: Any
    """Arguments; the model's text where it is no JSON, null where they are not kept."""


class RunAnswer(BaseModel):
    """A run. Null is what is not there, or not known."""

    id: str
    tenant_id: str
    agent_id: str | None
    session_id: str | None
    trace_id: str | None
    """The W3C trace id, written as a UUID."""
    status: Literal["queued", "running", "succeeded", "failed"]
    input_message: str | None
    output_message: str | None
    """Answer of a run that succeeded."""
    error_message: str | None
    """Reason why a run failed."""
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    """Sums over all calls of the model; null where the model reported none."""
    tools_called: list[CalledTool] | None
    messages: list[dict[str, Any]] | None
    """Messages in pydantic-ai's JSON, with ``include=messages``."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, run: StoredRun, tenant_id: str, *, messages: bool = False) -> Self:
        """Return the answer about a run of a tenant."""
        return cls(
            id=run.uid,
            tenant_id=tenant_id,
            agent_id=run.agent_id or run.instance_uid,
            session_id=run.session,
            trace_id=trace_uuid(run.trace_id),
            status=run.status,
            input_message=input_of(run),
            output_message=output_of(run),
            error_message=error_of(run),
            **tokens_of(run.input_tokens, run.output_tokens),
            tools_called=_tools(run),
            messages=pydantic_ai_messages.of_run(run) if messages else None,
            created_at=run.created_at,
            updated_at=run.updated_at,
        )


def trace_uuid(trace_id: str | None) -> str | None:
    """Return a trace id as a UUID."""
    return str(uuid.UUID(trace_id)) if trace_id else None


def tokens_of(prompt: int | None, completion: int | None) -> dict[str, int | None]:
    """Return the three counts of tokens."""
    total = None if prompt is None or completion is None else prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def input_of(run: StoredRun) -> str | None:
    """Return the text of the user's last message."""
    contents = (each.get("content") for each in reversed(run.messages) if each.get("role") == "user")
    content = next(contents, None)
    return content if content is None or isinstance(content, str) else pydantic_ai_messages.text_of(content)


def output_of(run: StoredRun) -> str | None:
    """Return the text of the answer."""
    if run.status != "succeeded" or run.content is None:
        return None
    answer = run.content.get("answer")
    return answer if isinstance(answer, str) else _NO_OUTPUT


def error_of(run: StoredRun) -> str | None:
    """Return the reason why a run failed; only its kind where its content is not kept any more."""
    if run.status != "failed":
        return None
    message = ((run.content or {}).get("error") or {}).get("message")
    return message or run.error or "unknown"


def _tools(run: StoredRun) -> list[CalledTool] | None:
    calls = [
        CalledTool(
            name=step.get("title") or step.get("name") or "", tool_call_id=step.get("id"), args=_args(step.get("args"))
        )
        for step in run.steps
        if step.get("kind") == "tool"
    ]
    return calls or None


def _args(text: str | None) -> Any:
    """Return arguments as a value; the text itself where it is no JSON, because it was cut, or the model wrote it so."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text
