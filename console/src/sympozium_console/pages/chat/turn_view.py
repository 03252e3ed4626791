"""One turn of a conversation, with all that a page shows of it."""

from dataclasses import dataclass
from typing import Self

from sympozium_api.failed_run_advice import what_helps
from sympozium_api.run import AgentRun
from sympozium_api.run_status import RunError
from sympozium_console.pages.chat.turn_texts import TurnTexts, texts_of
from sympozium_console.pages.chat.waiting_stage import Waiting, waiting_of
from sympozium_console.pages.prose.formatted_text import MOST_CHARACTERS, MOST_ON_REQUEST, FormattedText, formatted
from sympozium_console.run_timeline import Timeline


@dataclass(frozen=True)
class TurnFacts:
    """Figures below an answer; None: not known."""

    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    first_token_ms: int | None
    duration_ms: int | None
    start: str | None
    """``warm`` or ``cold``."""
    tools: tuple[str, ...]
    """Functions of the tools that the agent called, in their order."""

    @classmethod
    def of(cls, run: AgentRun) -> Self:
        """Return the figures of a run."""
        usage, timeline = run.status.token_usage, Timeline.of(run)
        moments = {moment.name: moment.ms for moment in timeline.moments}
        return cls(
            model=run.status.model,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            first_token_ms=moments.get("firstToken"),
            duration_ms=moments.get("ended"),
            start=run.status.start,
            tools=tuple(step.name for step in run.status.steps or () if step.kind == "tool" and step.name),
        )


@dataclass(frozen=True)
class TurnView:
    """A turn: a question, and its run's answer, error or wait."""

    name: str
    """Name of the run."""
    namespace: str
    instance: str
    asked_at: str
    phase: str
    texts: TurnTexts
    answer: FormattedText
    refusal: str
    """The model's words if it declined to answer."""
    waiting: Waiting | None
    """None: the run has ended."""
    facts: TurnFacts
    error: RunError | None
    help: str
    finish_reason: str | None

    @property
    def can_be_formatted(self) -> bool:
        """True if all of a long answer is formatted for a reader who asks for it."""
        return bool(self.answer.plain) and len(self.texts.answer.text if self.texts.answer else "") <= MOST_ON_REQUEST

    @property
    def path(self) -> str:
        """Address of the run's page."""
        return f"/runs/{self.namespace}/{self.name}"

    @property
    def chat_path(self) -> str:
        """Address below which the routes of this turn are."""
        return f"/instances/{self.namespace}/{self.instance}/chat/{self.name}"


async def turn_view(run: AgentRun, *, most: int = MOST_CHARACTERS) -> TurnView:
    """Return a turn, of whose answer ``most`` characters are formatted."""
    texts, error = texts_of(run), run.status.error
    return TurnView(
        name=run.metadata.name,
        namespace=run.metadata.namespace,
        instance=run.spec.agent_ref,
        asked_at=run.accepted_at,
        phase=run.status.phase or "Pending",
        texts=texts,
        answer=await formatted(texts.answer.text if texts.answer else "", most),
        refusal=texts.answer.refusal if texts.answer else "",
        waiting=None if run.ended else waiting_of(run.status.model_dump(by_alias=True, exclude_none=True)),
        facts=TurnFacts.of(run),
        error=error if run.status.phase == "Failed" else None,
        help=what_helps(error.type) if error else "",
        finish_reason=run.status.finish_reason,
    )
