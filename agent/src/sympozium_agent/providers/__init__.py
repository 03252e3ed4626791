"""Model providers: each module speaks one dialect to a model server and knows no run. The task names the dialect.

A provider's module is imported when a task or a warm-up names it, because an import is latency in a cold pod. ``http_provider``
posts and reads for all of them, ``chunk_parser`` turns bytes into events, and a dialect's translation turns events into chunks.
"""

from __future__ import annotations

from sympozium_agent.loop import ModelError
from sympozium_api.agent_protocol import OPENAI_COMPAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sympozium_agent.providers.provider import ProviderFactory

_CLASSES = {
    OPENAI_COMPAT: "OpenAICompatible",
    "anthropic_native": "Anthropic",
    "azure_openai": "AzureOpenAI",
    "deepseek": "DeepSeek",
    "gemini_native": "Gemini",
    "groq": "Groq",
    "mistral": "Mistral",
    "ollama": "Ollama",
    "xai": "XAI",
}
"""Class of each provider, in the module of the provider's name."""


def provider_class(name: str) -> ProviderFactory:
    """Import the provider of this name. Raises ModelError for a name that this agent does not know."""
    if name not in _CLASSES:
        raise ModelError(f"This agent has no model provider named {name!r}.", is_transient=False)
    module = __import__(f"sympozium_agent.providers.{name}", fromlist=[_CLASSES[name]])
    factory: ProviderFactory = getattr(module, _CLASSES[name])
    return factory
