"""The agent loop without I/O: decides the next step from the result of the last one.

A driver runs ``converse``, carries out each step that it yields and sends the result back. Tools that the agent calls
itself will be one more step here, ``CallTool``, and one more branch in the driver, which calls several side by side, each in a
``waiting.Background``.
"""

from __future__ import annotations

from sympozium_api.model_refusal import ModelRefusal
from sympozium_api.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from sympozium_agent.completion import CompletionAccumulator


class ModelError(Exception):
    """A call of the model that failed; ``status`` is the model's own if it answered with an error, else 502."""

    kind = "model_error"
    """Type of the run's error."""

    def __init__(self, refusal: ModelRefusal | str, status: int = 502) -> None:
        self.refusal = ModelRefusal(refusal) if isinstance(refusal, str) else refusal
        super().__init__(self.refusal.message)
        self.status = status


class ModelUnreachable(ModelError):
    """A call that the model server did not answer; the refusal's code is the reason, such as ``NameNotFound``."""

    kind = "model_unreachable"


@dataclass(frozen=True)
class CallModel:
    """The step of sending this chat completion request to the model and forwarding its deltas; its result is the completion."""

    request: dict[str, str]
    """Members of the body, each value as JSON text."""


@dataclass(frozen=True)
class Finish:
    """The end of a run that succeeded: the choices, the count of tokens and the answer's other fields."""

    choices: list[dict[str, Any]]
    usage: dict[str, Any]
    extra_fields: dict[str, Any]


def converse(request: dict[str, str]) -> Generator[CallModel | Finish, CompletionAccumulator, None]:
    """Yield the steps of one run: one call of the model, then the end. The caller, who gave the tools, executes calls of them."""
    completion = yield CallModel(request)
    yield Finish(completion.choices(), completion.usage, completion.extra_fields)
