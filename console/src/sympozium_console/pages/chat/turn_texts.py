"""Question and answer of a turn, as a page shows them. Pure. Nothing here trusts a run, because tenants write runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from sympozium_api import session_annotations, terminal_status
from sympozium_api.json_text import TextError
from sympozium_api.run import AgentRun
from sympozium_console.pages.message_text import content_text
from sympozium_domain.sessions.history import Message, messages_of
from sympozium_openai.responses_object import AssistantMessage, assistant_message, first_choice

_INSTRUCTS = ("system", "developer")


@dataclass(frozen=True)
class Said:
    """A message of a turn before, of which no run is there any more."""

    role: str
    """``user`` or ``assistant``."""
    text: str


@dataclass(frozen=True)
class TurnTexts:
    """Texts of one turn."""

    question: str
    instructions: str = ""
    """System messages that came with the question."""
    answer: AssistantMessage | None = None
    """None: the run has not succeeded, or its answer cannot be read."""
    before: tuple[Said, ...] = ()
    """The conversation before this turn, as its request has it."""
    left_out: int = 0
    """Number of messages of the conversation that the request does not have."""

    @property
    def size(self) -> int:
        """Characters of the question and of the answer."""
        answer = self.answer
        return len(self.question) + len(self.instructions) + (len(answer.text) + len(answer.reasoning) if answer else 0)


def texts_of(run: AgentRun) -> TurnTexts:
    """Return the texts of a run. A question that cannot be read is empty."""
    annotations = run.metadata.annotations
    try:
        messages = messages_of(run)
    except TextError:
        messages = []
    history = session_annotations.history_length(annotations)
    new, before = messages[history:], messages[:history]
    return TurnTexts(
        question="\n\n".join(content_text(message.get("content")) for message in new if message["role"] == "user"),
        instructions="\n\n".join(
            content_text(message.get("content")) for message in new if message["role"] in _INSTRUCTS
        ),
        answer=_answer(run),
        before=tuple(_said(before)),
        left_out=session_annotations.left_out(annotations),
    )


def _said(messages: Sequence[Message]) -> list[Said]:
    shown = (
        (message["role"], content_text(message.get("content")))
        for message in messages
        if message["role"] in ("user", "assistant")
    )
    return [Said(role, text) for role, text in shown if text]


def _answer(run: AgentRun) -> AssistantMessage | None:
    if run.status.phase != "Succeeded":
        return None
    end = terminal_status.record_of(run.status)
    return None if end["type"] == "error" else assistant_message(first_choice(end).get("message"), run.metadata.name)
