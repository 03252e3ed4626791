"""The interface of a tool. For type checkers: nothing here is needed at run time."""

from typing import Protocol

from sympozium_agent.loop import ToolCall, ToolResult
from sympozium_agent.waiting import Scope


class Tool(Protocol):
    """One way to carry out the calls of tools."""

    def call(self, call: ToolCall, scope: Scope) -> ToolResult:
        """Carry out a call and return its result, also where it fails; all waiting is in the scope, whose end it raises."""
