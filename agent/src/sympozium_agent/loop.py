"""The agent loop without I/O: decides the next step from the result of the last one.

A driver runs ``converse``, carries out each step that it yields and sends the result back. The loop of a run whose agent calls
tools itself is ``tool_loop.converse``, which only such a run imports.
"""

from __future__ import annotations

from sympozium_api.model_refusal import ModelRefusal
from sympozium_api.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from sympozium_agent.completion import CompletionAccumulator
    from sympozium_api.agent_records import OfferedTool

    Object = dict[str, Any]


_TRANSIENT = (408, 429)
"""Statuses below 500 of a server that may answer the same request later."""


class ModelError(Exception):
    """A call of the model that failed; ``status`` is the model's own if it answered with an error, else 502.

    ``is_transient``: the same request may succeed a moment later, or at another server. None: the status decides.
    """

    kind = "model_error"
    """Type of the run's error."""

    def __init__(self, refusal: ModelRefusal | str, status: int = 502, *, is_transient: bool | None = None) -> None:
        self.refusal = ModelRefusal(refusal) if isinstance(refusal, str) else refusal
        super().__init__(self.refusal.message)
        self.status = status
        self.is_transient = status in _TRANSIENT or status >= 500 if is_transient is None else is_transient


class ModelUnreachable(ModelError):
    """A call that the model server did not answer; the refusal's code is the reason, such as ``NameNotFound``."""

    kind = "model_unreachable"


class LimitExceeded(Exception):
    """The end of a run at a limit of its instance, a field of ``spec.agents.default.limits``, which allows ``value``."""

    def __init__(self, limit: str, value: int) -> None:
        super().__init__(f"The run ended at its limit: spec.agents.default.limits.{limit} is {value}.")
        self.limit = limit


@dataclass(frozen=True)
class CallModel:
    """The step of sending this chat completion request to the model and forwarding its deltas; its result is the completion."""

    request: dict[str, str]
    """Members of the body, each value as JSON text."""
    turn: int = 0
    """Number of the call in its run, from 0."""
    edit: Callable[[Object], list[Object]] | None = None
    """Function that returns what the caller is to be sent of a chunk. None: the chunk as it is."""


@dataclass(frozen=True)
class ToolCall:
    """A call of one of the agent's own tools."""

    id: str
    """Id of the call, unique in its run."""
    function: str
    arguments: str
    """JSON text of the arguments, as the model wrote it."""
    tool: OfferedTool | None
    """The tool; None if the agent has none of this name."""
    fault: str | None = None
    """The reason why the call is not sent, for the model. None: it is sent."""


@dataclass(frozen=True)
class ToolResult:
    """The result of a call of a tool."""

    text: str
    is_error: bool = False
    """True if the call failed or was refused; ``text`` says why."""


@dataclass(frozen=True)
class CallTools:
    """The step of making these calls side by side; its result is a list of ToolResult in their order."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True)
class Forward:
    """The step of sending the caller these chunks; without a result."""

    chunks: list[Object]


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
