"""The body of ``POST /api/v1/runs``: an instance, and a task or a request in the form of OpenAI's chat completions."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from sympozium_api.base import Duration
from sympozium_api.names import DNS_LABEL
from sympozium_console import refusals
from sympozium_http.refusal import Refusal
from sympozium_openai import bodies, chat
from sympozium_openai.bodies import Closed


class NewRunBody(Closed):
    """Fields of the body."""

    agent_ref: Annotated[
        str, Field(alias="agentRef", max_length=40, pattern=f"^{DNS_LABEL}$", description="Name of the instance.")
    ]
    task: Annotated[str | None, Field(min_length=1, description="The question, as a text.")] = None
    request: Annotated[
        dict[str, Any] | None,
        Field(description="Instead of ``task``: a chat completion's body, with ``messages``, tools and sampling."),
    ] = None
    session_key: Annotated[
        str | None,
        Field(
            alias="sessionKey",
            min_length=1,
            max_length=253,
            description="Key of a session, which the caller chooses: the run continues the last one of the same key.",
        ),
    ] = None
    timeout: Annotated[
        Duration | None, Field(description="Longest duration of the run. Omitted: the instance's ``runTimeout``.")
    ] = None


@dataclass(frozen=True)
class ParsedRun:
    """The run that a body describes."""

    instance: str
    chat: dict[str, Any]
    """Chat completion's body."""
    chat_text: str | None
    """The same as the caller wrote it; None: it gave a task."""
    timeout: str | None
    session_key: str | None


def parse(content: bytes) -> ParsedRun:
    """Return what a body asks for. Raises Refusal 400 that names the wrong field."""
    try:
        given = bodies.json_body(content)
        fields = bodies.checked(NewRunBody, given.value)
    except Refusal as refusal:
        raise _of_dialect(refusal, "") from refusal
    if (fields.task is None) == (fields.request is None):
        raise refusals.bad_field("task", "give either task or request")
    if fields.task is not None:
        question = {"messages": [{"role": "user", "content": fields.task}]}
        return ParsedRun(fields.agent_ref, question, None, fields.timeout, fields.session_key)
    try:
        _, body = chat.parse(given.texts["request"].encode())
    except Refusal as refusal:
        raise _of_dialect(refusal, "request") from refusal
    return ParsedRun(fields.agent_ref, body.value, body.text, fields.timeout, fields.session_key)


def _of_dialect(refusal: Refusal, at: str) -> Refusal:
    """Return a refusal of OpenAI's dialect in the console's words, for the part of the body ``at`` a path."""
    path = ".".join(part for part in (at, refusal.param) if part)
    return refusals.bad_field(path, refusal.message) if path else Refusal(400, "BadRequest", refusal.message)
