"""DeepSeek: OpenAI's dialect, with its own counts of the cache, and reasoning that belongs to one turn."""

from __future__ import annotations

from sympozium_agent.providers.chunk_parser import OpenAIChunks
from sympozium_agent.providers.members import NOTES, refuse, refuse_several, renamed, without
from sympozium_agent.providers.openai_compat import OpenAICompatible
from sympozium_agent.providers.openai_messages import edited, with_system_role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]

_VENDOR = "DeepSeek"
_IGNORED = ("logit_bias", "seed")
_REASONING = "reasoning_content"


class DeepSeek(OpenAICompatible):
    """One of DeepSeek's models."""

    def _edited(self, request: dict[str, str]) -> dict[str, str]:
        refuse_several(request, _VENDOR)
        refuse(request, _IGNORED, _VENDOR)
        request = renamed(without(request, NOTES - {"stream_options"}), "max_completion_tokens", "max_tokens")
        return edited(request, lambda messages: _without_old_reasoning(with_system_role(messages)))

    def _translation(self) -> DeepSeekChunks:
        return DeepSeekChunks()


class DeepSeekChunks(OpenAIChunks):
    """Chunks with the cached tokens in OpenAI's place."""

    def chunks(self, value: Any) -> list[Object]:
        """Return the value as a chunk. Raises ModelError."""
        chunks = super().chunks(value)
        for chunk in chunks:
            usage = chunk.get("usage")
            if isinstance(usage, dict) and isinstance(cached := usage.get("prompt_cache_hit_tokens"), int):
                details = usage.get("prompt_tokens_details")
                known = details if isinstance(details, dict) else {}
                chunk["usage"] = usage | {"prompt_tokens_details": {"cached_tokens": cached} | known}
        return chunks


def _without_old_reasoning(messages: list[Object]) -> list[Object]:
    """Return the messages without the reasoning of earlier turns: some models refuse it, and all need that of the turn that calls
    tools.
    """
    users = [number for number, message in enumerate(messages) if message.get("role") == "user"]
    turn = users[-1] if users else 0
    return [
        message if number > turn else {name: value for name, value in message.items() if name != _REASONING}
        for number, message in enumerate(messages)
    ]
