"""Model providers: each module speaks one dialect to a model server and knows no run. The task names the dialect.

A provider's module is imported when a task or a warm-up names it, because an import is latency in a cold pod.
"""

from __future__ import annotations

from sympozium_agent.loop import ModelError
from sympozium_api.agent_protocol import OPENAI_COMPAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sympozium_agent.providers.provider import ProviderFactory


def provider_class(name: str) -> ProviderFactory:
    """Import the provider of this name. Raises ModelError for a name that this agent does not know."""
    if name == OPENAI_COMPAT:
        from sympozium_agent.providers.openai_compat import OpenAICompatible  # noqa: PLC0415 - only what a task names

        return OpenAICompatible
    raise ModelError(f"This agent has no model provider named {name!r}.")
