"""Tools that the agent calls itself. None stands yet; each will be a module of its own here, imported by its name when a
run may call it. A tool knows no run, no provider and no transport of the model.
"""

from typing import Any, Protocol


class Tool(Protocol):
    """One tool that a model may call."""

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as a request for a chat completion describes it: ``{"type": "function", "function": {...}}``."""

    async def call(self, arguments: dict[str, Any]) -> str:
        """Do what the tool is for and return the content of the ``tool`` message."""
