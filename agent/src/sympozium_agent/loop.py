"""The agent loop without I/O: what is to be done next, given what came of the last step.

A driver runs ``converse``, does what it yields and sends back what came. Tools of the agent's own will be one more step
here, ``CallTool``, and one more branch in the driver.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from sympozium_agent.completion import Answer


class ModelError(Exception):
    """The model gave no answer; ``status`` is its own where it answered with an error, else 502."""

    def __init__(self, message: str, status: int = 502, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


@dataclass(frozen=True)
class CallModel:
    """Send this chat completion request to the model, hand its deltas on as they come, and send back its Answer."""

    request: dict[str, Any]


@dataclass(frozen=True)
class Finish:
    """The run has succeeded with these choices, this count of tokens and what else the model said."""

    choices: list[dict[str, Any]]
    usage: dict[str, Any]
    about: dict[str, Any]


Step = CallModel | Finish


def converse(request: dict[str, Any]) -> Generator[Step, Answer, None]:
    """One run: a question, an answer. Calls of tools in the answer are the caller's, who gave the tools."""
    answer = yield CallModel(request)
    yield Finish(answer.choices(), answer.usage, answer.about)
