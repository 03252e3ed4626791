"""Events of an agent's answer."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Message = dict[str, Any]
"""A message of a conversation in OpenAI's form: ``role`` and ``content``."""


@dataclass(frozen=True)
class Waiting:
    """No answer yet; ``reason`` is a sentence."""

    reason: str


@dataclass(frozen=True)
class Started:
    """A run that answers."""

    run: str


@dataclass(frozen=True)
class Text:
    """A piece of the answer, as the model wrote it: not safe for a terminal."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The end of an answer."""

    run: str
    finish_reason: str
    """``stop``, ``length``, ``tool_calls`` or ``content_filter``; empty: not known."""
    tokens: int | None
    """Tokens of question and answer together; None: not known."""


ChatEvent = Waiting | Started | Text | Ended


class Chat(Protocol):
    """A way to an agent."""

    @property
    def detour(self) -> str:
        """Reason why this is not the instance's web endpoint; empty: it is."""

    def ask(self, messages: Sequence[Message], model: str = "") -> AsyncGenerator[ChatEvent, None]:
        """Yield the events of one answer of a model that the instance has; empty: its own. Closing the generator ends the run.

        Raises Failure, ApiError and ApiUnavailable.
        """
