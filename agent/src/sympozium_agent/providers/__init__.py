"""Model providers: each module speaks one dialect to a model server and knows no run. The task names the dialect.

A provider's module is imported when a task or a warm-up names it, because an import is latency in a cold pod.
"""

from collections.abc import AsyncGenerator
from typing import Any, Protocol

from sympozium_agent.loop import ModelError
from sympozium_agent.transport import ModelTransport
from sympozium_api.agent_protocol import OPENAI_COMPAT, ModelTarget


class Provider(Protocol):
    """One model of one server, in its dialect."""

    def stream(self, request: dict[str, str]) -> AsyncGenerator[dict[str, Any], None]:
        """Call the model with an OpenAI-shaped request, whose values are JSON texts; yield its answer as OpenAI-shaped chunks while
        they arrive.

        Raises ModelError, also for an answer that was cut.
        """


class ProviderFactory(Protocol):
    """A provider's class."""

    def __call__(self, model: ModelTarget, key: str | None, transport: ModelTransport) -> Provider:
        """Return the provider of a model; ``key`` is the model's API key."""


def provider_class(name: str) -> ProviderFactory:
    """Import the provider of this name. Raises ModelError for a name that this agent does not know."""
    if name == OPENAI_COMPAT:
        from sympozium_agent.providers.openai_compat import OpenAICompatible  # noqa: PLC0415 - only what a task names

        return OpenAICompatible
    raise ModelError(f"This agent has no model provider named {name!r}.")
