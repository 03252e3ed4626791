"""The calls of one answer, made side by side."""

from __future__ import annotations

import time

from sympozium_agent.log import log, log_failure
from sympozium_agent.loop import ToolResult
from sympozium_agent.waiting import Background, Cancelled
from sympozium_api.tool_output import NOT_MADE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sympozium_agent.loop import ToolCall
    from sympozium_agent.steps import StepLog
    from sympozium_agent.tools.tool import Tool
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import ToolRecord

MOST_AT_ONCE = 16
"""Most calls at the same time, which is what the egress guard takes of a run. The others follow."""


class SideBySide:
    """Maker of calls. ``on_record`` gets a record at the begin and at the end of each call that is sent."""

    def __init__(self, tool: Tool, steps: StepLog, on_record: Callable[[ToolRecord], object]) -> None:
        self._tool = tool
        self._steps = steps
        self._on_record = on_record

    def call(self, calls: Sequence[ToolCall], scope: Scope) -> list[ToolResult]:
        """Make these calls and return their results in their order. Raises what the scope raises."""
        results: list[ToolResult] = []
        for at in range(0, len(calls), MOST_AT_ONCE):
            results += self._together(calls[at : at + MOST_AT_ONCE], scope)
        return results

    def _together(self, calls: Sequence[ToolCall], scope: Scope) -> list[ToolResult]:
        running = [_Running(self._tool, call, scope) for call in calls]
        for each in running:
            if each.is_sent:
                self._on_record(
                    {"type": "tool", "state": "started", "id": each.call.id, "function": each.call.function}
                )
        try:
            waiting = [each for each in running if each.background]
            while waiting:
                scope.wait(*(each.background.ended for each in waiting if each.background))
                for each in [each for each in waiting if each.background and each.background.ended.is_set()]:
                    waiting.remove(each)
                    self._on_end(each, each.result())
        finally:
            for each in running:  # in the order of the calls
                result = each.result()
                self._steps.tool(each.call, each.started_at, each.seconds, result.text if result.is_error else None)
        return [each.result() for each in running]

    def _on_end(self, each: _Running, result: ToolResult) -> None:
        self._on_record(
            {
                "type": "tool",
                "state": "ended",
                "id": each.call.id,
                "function": each.call.function,
                "isError": result.is_error,
            }
        )
        log("tool_called", tool=each.call.function, failed=result.is_error)


class _Running:
    """One call, in a thread of its own if it is sent."""

    def __init__(self, tool: Tool, call: ToolCall, scope: Scope) -> None:
        self.call = call
        self.started_at = time.time()
        self._began = time.monotonic()
        self._ended: float | None = None
        self._tool = tool
        self._scope = scope
        self.background = Background(self._make) if call.fault is None else None

    @property
    def is_sent(self) -> bool:
        """True if the call is made."""
        return self.background is not None

    @property
    def seconds(self) -> float:
        """Seconds that the call took, or has taken so far; 0 for a call that is not sent."""
        return (self._ended or time.monotonic()) - self._began if self.background else 0.0

    def result(self) -> ToolResult:
        """Return the call's result; of a call that is not sent or was cut off, the reason."""
        if self.background is None:
            return ToolResult(f"{NOT_MADE}{self.call.fault}", is_error=True)
        if not self.background.ended.is_set():
            return ToolResult("the run ended during the call", is_error=True)
        result: ToolResult | None = self.background.result()
        return result or ToolResult("the run ended during the call", is_error=True)

    def _make(self) -> ToolResult | None:
        """Return the call's result; None once the scope has ended, which the waiting thread raises."""
        try:
            return self._tool.call(self.call, self._scope)
        except Cancelled:
            return None
        except Exception as failure:  # noqa: BLE001 - a call that fails is told to the model, whatever failed
            if self._scope.remaining() <= 0:
                return None
            log_failure(failure)
            return ToolResult(f"the agent failed: {type(failure).__name__}", is_error=True)
        finally:
            self._ended = time.monotonic()
