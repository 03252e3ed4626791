"""The tools of one run: its loop, the calls that it makes, and its steps for the end record."""

from __future__ import annotations

from sympozium_agent.steps import StepLog
from sympozium_agent.tool_loop import converse, offer
from sympozium_agent.tool_loop.limits import added
from sympozium_agent.tools.guarded import GuardedTool
from sympozium_agent.tools.side_by_side import SideBySide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Any, Self

    from sympozium_agent.completion import CompletionAccumulator
    from sympozium_agent.loop import ToolCall, ToolResult
    from sympozium_agent.tool_loop.offer import Offer
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import End, Task, ToolRecord


class ToolSession:
    """A run with tools. ``on_record`` gets the records of its calls."""

    def __init__(
        self, task: Task, offered: Offer, token: Callable[[], str], on_record: Callable[[ToolRecord], object]
    ) -> None:
        self._task = task
        self._offered = offered
        titles = {tool["function"]: tool["title"] for tool in task.get("tools", ()) if "title" in tool}
        self.steps = StepLog(titles)
        """Calls that have ended."""
        self._usage: dict[str, Any] = {}
        self._calls = SideBySide(GuardedTool(task["run"], token), self.steps, on_record)

    @classmethod
    def of(cls, task: Task, token: Callable[[], str], on_record: Callable[[ToolRecord], object]) -> Self | None:
        """Return the session of a task with tools; None if its request takes none of them."""
        offered = offer(task["request"], task.get("tools", ()))
        return cls(task, offered, token, on_record) if offered else None

    def converse(self) -> Generator[Any, Any, None]:
        """Yield the steps of the run. Raises LimitExceeded."""
        return converse(self._offered, self._task.get("limits", {}), self._task["run"])

    def counted(self, completion: CompletionAccumulator) -> CompletionAccumulator:
        """Count the tokens of a call of the model; return its answer."""
        self._usage = added(self._usage, completion.usage)
        return completion

    def call(self, calls: Sequence[ToolCall], scope: Scope) -> list[ToolResult]:
        """Make the calls of one answer side by side."""
        return self._calls.call(calls, scope)

    def complete(self, end: End) -> None:
        """Add the steps to an end record, and to that of a failure the count of tokens."""
        end["steps"] = self.steps.steps
        end["toolCalls"] = self.steps.tool_calls
        if self._usage:
            end["usage"] = self._usage
