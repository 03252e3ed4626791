"""Offers of Tools: the description of a Tool that a ToolBinding grants, for a model. Pure."""

from sympozium_api.agent_document import OfferedTool
from sympozium_api.tool import Tool, ToolSpec
from sympozium_api.tool_binding import ToolBinding
from sympozium_api.tool_schema import parameters_text

BUILTIN_DESCRIPTIONS = {"fetch_url": "Reads a web page and returns its text."}
"""Purposes of the built-in tools, by name."""


def offered(binding: ToolBinding, tool: Tool, function: str, guard_url: str) -> OfferedTool:
    """Return a tool as it is offered to the model. ``guard_url`` is the base URL of the egress guard."""
    spec = tool.spec
    return OfferedTool(
        function=function,
        title=spec.title if spec.title != function else None,
        description=spec.description or _purpose(spec),
        parameters=parameters_text(spec),
        base_url=guard_url,
        timeout_ms=min(binding.spec.timeout_ms, spec.timeout_seconds * 1000),
    )


def _purpose(spec: ToolSpec) -> str:
    return BUILTIN_DESCRIPTIONS.get(spec.builtin.name, spec.title) if spec.builtin else spec.title
