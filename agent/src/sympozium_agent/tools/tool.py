"""The interface of a tool. For type checkers: nothing here is needed at run time."""

from typing import Any, Protocol

from sympozium_agent.waiting import Scope


class Tool(Protocol):
    """One tool that a model may call."""

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as a request for a chat completion describes it: ``{"type": "function", "function": {...}}``."""

    def call(self, arguments: dict[str, Any], scope: Scope) -> str:
        """Do what the tool is for and return the content of the ``tool`` message; all waiting is in the scope."""
